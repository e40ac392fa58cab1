import { type FormEvent, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { Toaster } from 'sonner';
import { AuthProvider, useAuth } from './src/components/AuthContext';
import { authApi } from './src/services';

function SignIn() {
  const { login } = useAuth();
  const [refused, setRefused] = useState(false);
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setRefused(!(await login(String(form.get('email')), String(form.get('password')))));
  };
  return (
    <form onSubmit={submit}>
      <label>E-mail address <input name="email" type="email" required autoFocus /></label>{' '}
      <label>Password <input name="password" type="password" required /></label> <button>Sign in</button>
      {refused && <p role="alert">That is not right. Try again.</p>}
    </form>
  );
}

function Page() {
  const { user, logout, isLoading } = useAuth();
  if (isLoading) return <p>One moment</p>;
  if (!user) return <SignIn />;
  return (
    <>
      <p>Signed in as {user.name}.</p>
      <button id="work" onClick={() => void authApi.getMe()}>Do something</button>{' '}
      <button id="leave" onClick={logout}>Sign out</button>
    </>
  );
}

createRoot(document.getElementById('root')!).render(
  <AuthProvider>
    <h1>Clinic</h1>
    <Page />
    <Toaster />
  </AuthProvider>,
);
