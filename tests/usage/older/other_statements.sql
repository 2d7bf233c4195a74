-- What programs of the second family send, one statement a line.
INSERT INTO migration.llm_usage_logs (id, llm_provider, model_name, input_tokens, output_tokens, total_tokens, input_cost, output_cost, total_cost, cost_currency, response_time_ms, success, additional_metadata, user_id) VALUES ('11111111-1111-4111-8111-111111111111', 'deepinfra', 'model-1', 10, 5, 15, 0.000001, 0.000002, 0.000003, 'USD', 120, true, '{"source": "x"}', 7) RETURNING id, created_at, updated_at;
INSERT INTO migration.llm_usage_logs (llm_provider, model_name, success, error_type) VALUES ('openai', 'gpt-4', false, 'TimeoutError');
UPDATE migration.llm_usage_logs SET input_cost = 0.5, output_cost = 0.25, total_cost = 0.75 WHERE id = '11111111-1111-4111-8111-111111111111';
SELECT model_name, SUM(total_cost), SUM(total_tokens), COUNT(*) FILTER (WHERE success) FROM migration.llm_usage_logs WHERE total_cost IS NOT NULL GROUP BY model_name;
SELECT l.llm_provider, c.id FROM migration.llm_usage_logs l JOIN migration.client_accounts c ON c.id = l.client_account_id LIMIT 5;
SELECT input_cost_per_1k_tokens, output_cost_per_1k_tokens FROM migration.llm_model_pricing WHERE provider = 'openai' AND model_name = 'gpt-4' AND is_active AND effective_from <= now() AND (effective_to IS NULL OR effective_to > now());
INSERT INTO migration.llm_model_pricing (provider, model_name, input_cost_per_1k_tokens, output_cost_per_1k_tokens, source) VALUES ('anthropic', 'claude-3', 0.003, 0.015, 'manual');
UPDATE migration.llm_model_pricing SET is_active = false WHERE provider = 'anthropic';
SELECT * FROM migration.llm_usage_summary WHERE period_type = 'monthly';
