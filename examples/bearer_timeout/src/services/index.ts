export { authApi } from './auth.service';
