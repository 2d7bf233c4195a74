-- What programs and people of older trackers send, one statement a line; {x} is groq or llm, {user} a user's id.
INSERT INTO {x}_usage_logs (user_id, model, endpoint, status_code, tokens_used, prompt_tokens, completion_tokens, duration_ms, error_message, metadata) VALUES ('{user}', 'model-1', '/v1/chat/completions', 200, 3, 1, 2, 5, NULL, '{"service": "drafts", "provider": "groq"}');
INSERT INTO {x}_usage_logs (user_id, model, status_code, error_message) VALUES ('{user}', 'model-1', 500, 'boom') RETURNING id, created_at;
SELECT * FROM {x}_usage_logs WHERE user_id = '{user}' AND created_at >= now() - interval '1 day' ORDER BY created_at DESC LIMIT 50;
SELECT count(*) FROM {x}_usage_logs WHERE metadata @> '{"provider": "groq"}' AND metadata->>'service' = 'drafts';
SELECT {x}_usage_daily_summary.* FROM {x}_usage_daily_summary WHERE user_id = '{user}';
SELECT refresh_{x}_usage_summary();
REFRESH MATERIALIZED VIEW {x}_usage_daily_summary;
REFRESH MATERIALIZED VIEW CONCURRENTLY {x}_usage_daily_summary;
SELECT u.email, s.total_calls FROM {x}_usage_daily_summary s JOIN users u ON u.id = s.user_id;
SELECT u.email, l.model FROM users u JOIN llm_usage_logs_uuid l ON l.user_id = u.id LIMIT 5;
SELECT * FROM {x}_rate_limit_configs WHERE limit_type = 'minute';
SELECT * FROM {x}_rate_limits WHERE user_id = '{user}' AND limit_type = 'minute';
UPDATE {x}_rate_limits SET current_count = 3, reset_at = now() WHERE user_id = '{user}' AND limit_type = 'minute';
UPDATE {x}_rate_limit_configs SET limit_value = 100 WHERE limit_type = 'minute';
DELETE FROM users WHERE id = '{user}';
