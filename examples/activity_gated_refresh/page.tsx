import { useState } from 'react';
import { createRoot } from 'react-dom/client';
import { useHeartbeat } from './use-heartbeat';

function Form() {
  const [expired, setExpired] = useState(0);
  const [refreshed, setRefreshed] = useState(0);
  const [failed, setFailed] = useState(0);
  const [who, setWho] = useState('');
  useHeartbeat({
    onSessionExpired: () => setExpired((times) => times + 1),
    onRefreshed: () => setRefreshed((times) => times + 1),
    onError: () => setFailed((times) => times + 1),
  });
  const ask = async () => {
    const answer = await fetch('/api/me');
    setWho(answer.ok ? (await answer.json()).sub : `error ${answer.status}`);
  };
  const leave = async () => {
    const answer = await fetch('/session/end', { method: 'POST' });
    const { logoutUrl } = await answer.json();
    location.assign(logoutUrl ?? '/');
  };
  return (
    <>
      <textarea rows={12} cols={60} aria-label="Your text" autoFocus />
      <p>
        Kept alive <output id="refreshed">{refreshed}</output> times, failed <output id="failed">{failed}</output> times.
      </p>
      <p>
        <button id="ask" onClick={() => void ask()}>Who am I there?</button> <output id="who">{who}</output>{' '}
        <button id="leave" onClick={() => void leave()}>Sign out</button>
      </p>
      {expired > 0 && (
        <p role="alert">
          Your session is over (<output id="expired">{expired}</output>). <a href="/">Sign in again</a>
        </p>
      )}
    </>
  );
}

createRoot(document.getElementById('root')!).render(<Form />);
