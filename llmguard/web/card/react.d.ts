import type { ReactElement } from "react";
import type { LLMUsageSummary, LLMUsageToken } from "./llm-usage-card.js";

export type { LLMRateLimit, LLMUsageAmounts, LLMUsageSummary, LLMUsageToken } from "./llm-usage-card.js";

export interface LLMUsageCardProps {
  /** Where the summary is; `/api/llm/usage/summary` when it is left out. */
  src?: string;
  /** Seconds between questions, 30 when it is left out; 0 for none. */
  refresh?: number;
  heading?: string;
  /** Sent as `Authorization: Bearer`. */
  token?: LLMUsageToken;
  onUsage?: (summary: LLMUsageSummary) => void;
  onError?: (error: Error) => void;
}

export declare function LLMUsageCard(props: LLMUsageCardProps): ReactElement;
export default LLMUsageCard;
