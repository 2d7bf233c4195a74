// <LLMUsageCard>: the element, for React.

import { createElement, useEffect, useRef } from "react";
import "./llm-usage-card.js";

export function LLMUsageCard({ src, refresh, heading, token = null, onUsage, onError }) {
  const card = useRef(null);
  const heard = useRef({});
  heard.current = { onUsage, onError };
  const given = useRef(token);
  given.current = token;
  // A function that is written in the markup is another one each time: who it speaks for is asked when it is called.
  const asked = typeof token === "function" ? "function" : token;
  useEffect(() => {
    card.current.token = asked === "function" ? () => given.current() : asked;
  }, [asked]);
  useEffect(() => {
    const element = card.current;
    const told = (event) => heard.current.onUsage?.(event.detail);
    const failed = (event) => heard.current.onError?.(event.detail);
    element.addEventListener("llm-usage", told);
    element.addEventListener("llm-usage-error", failed);
    return () => {
      element.removeEventListener("llm-usage", told);
      element.removeEventListener("llm-usage-error", failed);
    };
  }, []);
  return createElement("llm-usage-card", { ref: card, src, refresh, heading });
}

export default LLMUsageCard;
