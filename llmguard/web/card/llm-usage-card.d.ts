/** Calls and tokens. */
export interface LLMUsageAmounts {
  calls: number;
  tokens: number;
  prompt_tokens: number;
  completion_tokens: number;
}

/** Where a user stands in a window; limit and rest are null where there is no limit. */
export interface LLMRateLimit {
  can_call: boolean;
  current_count: number;
  limit_value: number | null;
  reset_at: string;
  remaining: number | null;
  source: string;
  retry_after: number | null;
}

/** What `GET /api/llm/usage/summary` says of a user. */
export interface LLMUsageSummary {
  today: LLMUsageAmounts;
  this_month: LLMUsageAmounts;
  rate_limits: { per_minute: LLMRateLimit; per_day: LLMRateLimit };
}

export type LLMUsageToken = string | null | (() => string | null | Promise<string | null>);

export declare class LLMUsageCardElement extends HTMLElement {
  src: string;
  refresh: number;
  heading: string;
  token: LLMUsageToken;
  reload(): Promise<void>;
}

export declare function short(value: number): string;

declare global {
  interface HTMLElementTagNameMap {
    "llm-usage-card": LLMUsageCardElement;
  }
}
