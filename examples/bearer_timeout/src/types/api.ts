export interface LoginRequest {
  email: string;
  password: string;
}

export interface User {
  id: string;
  name: string;
  email: string;
  role: string;
  clinicId: string;
  clinicName: string;
}

export interface LoginResponse {
  token: string;
  user: User;
}
