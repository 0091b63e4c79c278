/** Entry point `nestjs-taskmaster/dashboard`: a page to look at jobs and to mend them, and the API behind it. */
export {
  TaskmasterDashboardModule,
  type DashboardAsyncOptions,
  type DashboardOptionsFactory,
} from './dashboard.module.js';
export { basicAuth, type BasicAuthOptions, type DashboardAuth } from './basic-auth.js';
export { DashboardOpenError } from './dashboard.errors.js';
export type {
  DashboardLink,
  DashboardModuleExtras,
  DashboardModuleOptions,
  DashboardOptions,
  LiveOptions,
} from './dashboard.options.js';
export type { DashboardRequest } from './dashboard.request.js';
export { type Access, type Permission, PERMISSIONS } from './permission.js';
