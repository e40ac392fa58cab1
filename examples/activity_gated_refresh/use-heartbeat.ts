import { useEffect, useRef } from 'react';
import { createActivityTracker } from './activity-tracker';

export interface HeartbeatConfig {
  endpoint?: string;
  intervalMs?: number;
  idleThresholdMs?: number;
  onSessionExpired?: () => void;
  onRefreshed?: () => void;
  onError?: (error: Error) => void;
}

const logger = console;

/** Ticks every 5 min, gated on activity within the last 2 min; pauses in hidden tabs, beats immediately on tab refocus after a long away. */
export function useHeartbeat({
  endpoint = '/api/auth/heartbeat',
  intervalMs = 5 * 60 * 1000,
  idleThresholdMs = 2 * 60 * 1000,
  onSessionExpired,
  onRefreshed,
  onError,
}: HeartbeatConfig = {}): void {
  // In a ref, so that a callback with a new identity does not restart the heartbeat.
  const callbacksRef = useRef({ onSessionExpired, onRefreshed, onError });
  callbacksRef.current = { onSessionExpired, onRefreshed, onError };

  useEffect(() => {
    const tracker = createActivityTracker();
    const controller = new AbortController();
    let timeoutId: ReturnType<typeof setTimeout> | undefined;
    let lastTickAt = Date.now();
    let stopped = false;

    const teardown = () => {
      stopped = true;
      clearTimeout(timeoutId);
      controller.abort();
      document.removeEventListener('visibilitychange', onVisibilityChange);
      tracker.dispose();
    };

    const sendBeat = async () => {
      if (stopped || document.hidden || !tracker.isActiveWithin(idleThresholdMs)) return;
      lastTickAt = Date.now();
      try {
        const response = await fetch(endpoint, {
          method: 'POST',
          credentials: 'same-origin',
          headers: { 'content-type': 'application/json' },
          signal: controller.signal,
        });
        if (stopped) return;

        if (response.status === 401) {
          logger.info('Heartbeat returned 401 — session expired');
          teardown();
          callbacksRef.current.onSessionExpired?.();
          return;
        }

        if (!response.ok) {
          throw new Error(`Heartbeat failed with status ${response.status}`);
        }

        logger.debug('Heartbeat refresh succeeded');
        callbacksRef.current.onRefreshed?.();
      } catch (error) {
        if (stopped) return;
        const err = error instanceof Error ? error : new Error(String(error));
        logger.warn({ error: err.message }, 'Heartbeat tick failed');
        callbacksRef.current.onError?.(err);
      }
    };

    const scheduleNext = () => {
      if (stopped) return;
      timeoutId = setTimeout(() => void sendBeat().then(scheduleNext), intervalMs);
    };

    const onVisibilityChange = () => {
      if (document.hidden) return;
      // Tab regained focus. If we've been away longer than one tick, beat now.
      const sinceLast = Date.now() - lastTickAt;
      if (sinceLast >= intervalMs) {
        logger.debug({ sinceLast }, 'Tab regained focus after long away, beating now');
        clearTimeout(timeoutId);
        void sendBeat().then(scheduleNext);
      }
    };

    document.addEventListener('visibilitychange', onVisibilityChange);
    scheduleNext();
    return teardown;
  }, [endpoint, intervalMs, idleThresholdMs]);
}
