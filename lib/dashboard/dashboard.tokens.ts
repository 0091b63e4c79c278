/** The options of a dashboard. @internal */
export const DASHBOARD_OPTIONS = Symbol('taskmaster:DashboardOptions');
/** Path, guards and instance of a dashboard. @internal */
export const DASHBOARD_EXTRAS = Symbol('taskmaster:DashboardExtras');
