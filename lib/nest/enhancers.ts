/**
 * Which of Nest's *global* enhancers (`APP_PIPE`, `app.useGlobalInterceptors()` ...) apply to handlers.
 * Those declared at a handler or its class, with `@UsePipes()` and the like, always do.
 *
 * Guards and filters are off unless asked for: in an application that also serves HTTP they expect a request
 * and a response, and would fail every job.
 */
export interface EnhancerOptions {
  /** @default true */
  readonly pipes?: boolean;
  /** @default true */
  readonly interceptors?: boolean;
  /** @default false */
  readonly guards?: boolean;
  /** @default false */
  readonly filters?: boolean;
}

/** The four kinds of enhancer. */
export type EnhancerKind = keyof EnhancerOptions;

export const ENHANCER_DEFAULTS = Object.freeze({
  pipes: true,
  interceptors: true,
  guards: false,
  filters: false,
} satisfies Required<EnhancerOptions>);

/** A handler's choice wins over the module's, that over the defaults. */
export function resolveEnhancers(
  module: EnhancerOptions | undefined,
  handler: EnhancerOptions | undefined,
): Required<EnhancerOptions> {
  return { ...ENHANCER_DEFAULTS, ...module, ...handler };
}
