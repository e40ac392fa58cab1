// keepalive.js
const KEEPALIVE_INTERVAL_MS = 5 * 60 * 1000; // 5 minutes

let keepaliveTimer = setInterval(async () => {
  try {
    await fetch('/keepalive', { method: 'POST', credentials: 'include' });
  } catch (err) {
    console.warn('Keepalive failed', err);
  }
}, KEEPALIVE_INTERVAL_MS);

// Optional: stop when user logs out or page hidden
window.addEventListener('beforeunload', () => clearInterval(keepaliveTimer));
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'hidden') {
    // reduce frequency or pause to save resources
  }
});
