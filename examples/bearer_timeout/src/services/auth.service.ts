import { apiClient } from '../lib/api-client';
import type { LoginRequest, LoginResponse, User } from '../types/api';

export const authApi = {
  login: async (credentials: LoginRequest): Promise<LoginResponse> => {
    const response = await apiClient.post<LoginResponse>('/auth/login', credentials);

    if (response.token) {
      localStorage.setItem('token', response.token);
      localStorage.setItem('user', JSON.stringify(response.user));
    }

    return response;
  },

  logout: async (): Promise<void> => {
    try {
      await apiClient.post('/auth/logout');
    } finally {
      localStorage.removeItem('token');
      localStorage.removeItem('user');
    }
  },

  // Regular getMe - refreshes session (used for real user actions)
  getMe: async (): Promise<User> => {
    return apiClient.get<User>('/auth/me');
  },

  // IMPORTANT: Heartbeat version - does NOT refresh session
  getMeHeartbeat: async (): Promise<User> => {
    return apiClient.get<User>('/auth/me', { isHeartbeat: true });
  },

  isAuthenticated: (): boolean => {
    return !!localStorage.getItem('token');
  },

  getCurrentUser: (): User | null => {
    const userStr = localStorage.getItem('user');
    return userStr ? JSON.parse(userStr) : null;
  },
};
