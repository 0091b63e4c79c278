import type { DashboardRequest } from './dashboard.request.js';
import { header, remoteAddress } from './dashboard.request.js';
import { ApiError } from './dashboard.errors.js';
import type { ResolvedDashboard } from './dashboard.options.js';
import { nameOf, type Viewer, viewerOf } from './viewer.js';

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+)$/;
const LOCAL_HOST = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\]|[\w-]+\.localhost)(:\d+)?$/i;
const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'];

/** Somebody who is not known asks: told how to say who they are. */
export class ChallengeError extends ApiError {
  constructor(readonly challenge: string) {
    super(401, 'unauthorized', 'Name and password, please.');
  }
}

/** Looks at each request before anything else does. The guards of the application have let it pass already. */
export class Doorkeeper {
  constructor(private readonly options: ResolvedDashboard) {}

  /** @throws ApiError, ChallengeError for whoever may not come in */
  async admit(request: DashboardRequest): Promise<Viewer> {
    const { auth, user, isOpen } = this.options;
    if (isOpen) assertLocal(request);
    const known = auth?.userOf(request);
    if (auth !== undefined && known === undefined) throw new ChallengeError(auth.challenge);
    const viewer = await viewerOf(request, user?.(request) ?? known ?? nameOf(request.user), this.options);
    if (!viewer.permissions.has('view')) throw new ApiError(403, 'forbidden', 'You may not see this.');
    return viewer;
  }

  /**
   * A page of another site can neither set this header nor send JSON without being asked first; browsers also say where a request comes from.
   *
   * @throws ApiError for requests that such a page may have made
   */
  assertSameSite(request: DashboardRequest): void {
    const site = header(request, 'sec-fetch-site');
    if (site !== undefined && site !== 'same-origin')
      throw new ApiError(403, 'cross_site', 'Changes come from the dashboard itself.');
    if (header(request, 'x-taskmaster-dashboard') !== '1')
      throw new ApiError(403, 'cross_site', 'The header x-taskmaster-dashboard: 1 is missing.');
    if (!/^application\/json\b/i.test(header(request, 'content-type') ?? ''))
      throw new ApiError(415, 'not_json', 'Send JSON: content-type: application/json.');
  }
}

/** Neither from elsewhere, nor through a proxy, nor by a name that somebody else lets point here. */
function assertLocal(request: DashboardRequest): void {
  const isLocal =
    LOOPBACK.test(remoteAddress(request) ?? '') &&
    LOCAL_HOST.test(header(request, 'host') ?? '') &&
    FORWARDED.every((name) => header(request, name) === undefined);
  if (!isLocal)
    throw new ApiError(
      403,
      'closed',
      'The dashboard is closed: it has no guards, no auth and no access, and is for this machine only.',
    );
}
