import { TaskmasterError } from '../engine/errors.js';

/** The dashboard would be open to everybody. Thrown at boot, in production. */
export class DashboardOpenError extends TaskmasterError {
  readonly code = 'TM_DASHBOARD_OPEN';

  constructor() {
    super(
      'The dashboard has neither `guards`, nor `auth`, nor `access`, and NODE_ENV is production: everybody could delete jobs. ' +
        'Give TaskmasterDashboardModule.forRoot() the guards of your application, or auth: basicAuth({ users }), or access: (request) => ….',
    );
  }
}

/** Why a request to the API is refused. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint?: string,
    /** More for the page, such as the place in a filter. */
    readonly details?: Readonly<Record<string, unknown>>,
  ) {
    super(message);
  }
}

export function notFound(what: string): ApiError {
  return new ApiError(
    404,
    'not_found',
    `There is no ${what}.`,
    'It may have ended and not been kept, or you may not see its queue.',
  );
}
