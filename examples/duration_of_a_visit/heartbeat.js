// No imports, no npm packages, no build step required
(function() {
  const HEARTBEAT_INTERVAL = 3 * 60 * 1000; // 3 minutes
  let isPageVisible = true;

  function getCookie(name) {
    const value = `; ${document.cookie}`;
    const parts = value.split(`; ${name}=`);
    if (parts.length === 2) return parts.pop().split(';').shift();
    return null;
  }

  async function sendHeartbeat() {
    if (!getCookie('session_record_id')) return;
    await fetch('/api/session-heartbeat', {
      method: 'POST',
      credentials: 'same-origin',
    });
  }

  // Visibility-aware: pause when hidden, resume when visible
  document.addEventListener('visibilitychange', () => {
    isPageVisible = !document.hidden;
    if (isPageVisible) sendHeartbeat();
  });

  // Best-effort final heartbeat
  window.addEventListener('beforeunload', () => {
    if (navigator.sendBeacon) {
      navigator.sendBeacon('/api/session-heartbeat');
    }
  });

  // Start heartbeat
  sendHeartbeat();
  setInterval(() => isPageVisible && sendHeartbeat(), HEARTBEAT_INTERVAL);
})();
