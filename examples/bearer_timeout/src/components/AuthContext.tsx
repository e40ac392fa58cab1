import { createContext, useContext, useState, useEffect, ReactNode } from 'react';
import { authApi } from '../services';
import { SESSION_EXPIRED_EVENT } from '../lib/api-client';
import { toast } from 'sonner';

export interface User {
  id: string;
  name: string;
  email: string;
  role: string;
  clinicId: string;
  clinicName: string;
}

interface AuthContextType {
  user: User | null;
  setUser: (user: User | null) => void;
  login: (email: string, password: string) => Promise<boolean>;
  logout: () => void;
  isLoading: boolean;
}

const AuthContext = createContext<AuthContextType | undefined>(undefined);

export function AuthProvider({ children }: { children: ReactNode }) {
  const [user, setUser] = useState<User | null>(null);
  const [isLoading, setIsLoading] = useState(true);

  // Listen for session expiry events
  useEffect(() => {
    const handleSessionExpired = (event: CustomEvent) => {
      const message = event.detail?.message || 'Your session has expired';

      toast.warning(message, {
        duration: 5000,
        description: 'Please sign in again to continue',
      });

      setUser(null);
    };

    window.addEventListener(SESSION_EXPIRED_EVENT, handleSessionExpired as EventListener);

    return () => {
      window.removeEventListener(SESSION_EXPIRED_EVENT, handleSessionExpired as EventListener);
    };
  }, []);

  // Check if user is already logged in on mount
  useEffect(() => {
    const initAuth = async () => {
      if (authApi.isAuthenticated()) {
        try {
          const currentUser = await authApi.getMe();
          setUser(currentUser);
        } catch (error) {
          authApi.logout();
        }
      }
      setIsLoading(false);
    };

    initAuth();
  }, []);

  // CRITICAL: Session heartbeat mechanism
  useEffect(() => {
    if (!user) return;

    console.log('🔄 Starting session heartbeat');

    // For production (20 min timeout): check every 60 seconds
    // For testing (30 sec timeout): check every 10 seconds
    const heartbeatInterval = setInterval(async () => {
      try {
        // IMPORTANT: Use getMeHeartbeat to NOT refresh the session
        await authApi.getMeHeartbeat();
      } catch (error) {
        // Session expired - event listener will handle toast and redirect
        console.log('Session heartbeat: validation failed');
      }
    }, 60000); // 60 seconds for production

    return () => {
      console.log('🛑 Stopping session heartbeat');
      clearInterval(heartbeatInterval);
    };
  }, [user]);

  const login = async (email: string, password: string): Promise<boolean> => {
    try {
      const response = await authApi.login({ email, password });
      setUser(response.user);
      return true;
    } catch (error) {
      console.error('Login failed:', error);
      return false;
    }
  };

  const logout = () => {
    authApi.logout();
    setUser(null);
  };

  return (
    <AuthContext.Provider value={{ user, setUser, login, logout, isLoading }}>
      {children}
    </AuthContext.Provider>
  );
}

export function useAuth() {
  const context = useContext(AuthContext);
  if (context === undefined) {
    throw new Error('useAuth must be used within an AuthProvider');
  }
  return context;
}
