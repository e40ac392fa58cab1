// refresh.js: the access token lives in this page's memory, the refresh token in a cookie that no script can read.
const REFRESH_BEFORE_MS = 60 * 1000; // a minute before expiry
const TRY_AGAIN_MS = 5 * 1000;

let accessToken = null;
let refreshTimer;
let refreshing;

/** Gets the next token; whoever asks meanwhile waits for the same. */
function refresh() {
  refreshing ??= getToken().finally(() => { refreshing = undefined; });
  return refreshing;
}

async function getToken() {
  clearTimeout(refreshTimer);
  let inMs = TRY_AGAIN_MS;
  try {
    const answer = await fetch('/auth/refresh', { method: 'POST', credentials: 'same-origin' });
    if (answer.status === 401) return over();
    if (answer.ok) {
      const { accessToken: token, accessTokenInMs } = await answer.json();
      accessToken = token;
      // Never later than half of its life, should that be shorter than two minutes.
      inMs = Math.max(accessTokenInMs - REFRESH_BEFORE_MS, accessTokenInMs / 2);
    }
  } catch (err) {
    console.warn('Refresh failed', err); // the network is away; asking again with the same cookie is safe
  }
  refreshTimer = setTimeout(refresh, inMs);
}

function over() {
  accessToken = null;
  location.assign('/');
}

/** Fetches with the access token. One that ran out while the machine slept is replaced, once. */
async function fetchAsMe(url) {
  const ask = () => fetch(url, { credentials: 'omit', headers: { Authorization: `Bearer ${accessToken}` } });
  const answer = await ask();
  if (answer.status !== 401) return answer;
  await refresh();
  return ask();
}

document.getElementById('ask').addEventListener('click', async () => {
  const answer = await fetchAsMe('/profile');
  document.getElementById('who').textContent = answer.ok ? (await answer.json()).userId : `error ${answer.status}`;
});

refresh();
