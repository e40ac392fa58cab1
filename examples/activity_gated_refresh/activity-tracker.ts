// When the person last did something, by the events that only a person causes.

export interface ActivityTrackerOptions {
  target?: EventTarget;
  events?: readonly string[];
  throttleMs?: number;
  initialTimestamp?: number;
  now?: () => number;
}

export interface ActivityTracker {
  getLastActivity(): number;
  isActiveWithin(ms: number): boolean;
  recordActivity(): void;
  dispose(): void;
}

const DEFAULT_EVENTS = ['pointerdown', 'keydown', 'touchstart', 'focusin'] as const;

export function createActivityTracker({
  target = typeof window === 'undefined' ? undefined : window,
  events = DEFAULT_EVENTS,
  throttleMs = 1000,
  now = Date.now,
  initialTimestamp = now(),
}: ActivityTrackerOptions = {}): ActivityTracker {
  let lastActivity = initialTimestamp;
  let disposed = false;

  const onEvent = () => {
    const at = now();
    if (at - lastActivity >= throttleMs) lastActivity = at;
  };
  events.forEach((name) => target?.addEventListener(name, onEvent, { passive: true }));

  return {
    getLastActivity: () => lastActivity,
    isActiveWithin: (ms) => now() - lastActivity <= ms,
    recordActivity: () => {
      if (!disposed) lastActivity = now();
    },
    dispose: () => {
      disposed = true;
      events.forEach((name) => target?.removeEventListener(name, onEvent));
    },
  };
}
