"""The tables that older trackers have made, and rows in them."""

from __future__ import annotations

FIRST = """
CREATE TABLE {users} (id UUID PRIMARY KEY DEFAULT gen_random_uuid(), email TEXT);
CREATE TABLE {x}_usage_logs (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id UUID NOT NULL REFERENCES {users}(id) ON DELETE CASCADE,
    endpoint VARCHAR(255), model VARCHAR(100), status_code INTEGER,
    tokens_used INTEGER DEFAULT 0, prompt_tokens INTEGER DEFAULT 0, completion_tokens INTEGER DEFAULT 0,
    duration_ms INTEGER, error_message TEXT, metadata JSONB, created_at TIMESTAMPTZ DEFAULT NOW()
);
CREATE INDEX idx_{x}_usage_user_id ON {x}_usage_logs(user_id);
CREATE INDEX idx_{x}_usage_model ON {x}_usage_logs(model);
CREATE INDEX idx_{x}_usage_created_at ON {x}_usage_logs(created_at);
CREATE INDEX idx_{x}_usage_user_date ON {x}_usage_logs(user_id, created_at);
CREATE MATERIALIZED VIEW {x}_usage_daily_summary AS
SELECT user_id, model, DATE(created_at) AS usage_date, COUNT(*) AS total_calls, SUM(tokens_used) AS total_tokens,
       SUM(prompt_tokens) AS total_prompt_tokens, SUM(completion_tokens) AS total_completion_tokens,
       AVG(duration_ms) AS avg_duration_ms, COUNT(*) FILTER (WHERE status_code >= 400) AS error_count
FROM {x}_usage_logs GROUP BY user_id, model, DATE(created_at);
CREATE UNIQUE INDEX idx_{x}_usage_daily_summary_unique ON {x}_usage_daily_summary(user_id, model, usage_date);
CREATE FUNCTION refresh_{x}_usage_summary() RETURNS void AS $$
BEGIN
    REFRESH MATERIALIZED VIEW CONCURRENTLY {x}_usage_daily_summary;
END;
$$ LANGUAGE plpgsql;
CREATE TABLE {x}_rate_limit_configs (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(), limit_type VARCHAR(20) NOT NULL UNIQUE,
    limit_value INTEGER NOT NULL, description TEXT,
    created_at TIMESTAMPTZ DEFAULT NOW(), updated_at TIMESTAMPTZ DEFAULT NOW()
);
INSERT INTO {x}_rate_limit_configs (limit_type, limit_value, description)
VALUES ('minute', 30, 'free tier'), ('day', 14400, 'free tier');
CREATE TABLE {x}_rate_limits (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(), user_id UUID NOT NULL REFERENCES {users}(id) ON DELETE CASCADE,
    limit_type VARCHAR(20) NOT NULL, limit_value INTEGER NOT NULL, current_count INTEGER DEFAULT 0,
    reset_at TIMESTAMPTZ NOT NULL, created_at TIMESTAMPTZ DEFAULT NOW(), updated_at TIMESTAMPTZ DEFAULT NOW(),
    UNIQUE(user_id, limit_type)
);
CREATE INDEX idx_{x}_rate_limits_user ON {x}_rate_limits(user_id);
CREATE INDEX idx_{x}_rate_limits_reset ON {x}_rate_limits(reset_at);
CREATE FUNCTION update_{x}_rate_limits_updated_at() RETURNS TRIGGER AS $$
BEGIN
    NEW.updated_at = NOW();
    RETURN NEW;
END;
$$ LANGUAGE plpgsql;
CREATE TRIGGER trigger_update_{x}_rate_limits_updated_at
    BEFORE UPDATE ON {x}_rate_limits FOR EACH ROW EXECUTE FUNCTION update_{x}_rate_limits_updated_at();
"""
#: Calls of 50 users over 40 days; one in nine fails, and the counts of one in seven are 0.
FIRST_ROWS = """
INSERT INTO {users} (id, email)
SELECT CAST(md5('user' || n) AS uuid), 'u' || n || '@example.com' FROM generate_series(1, 50) n;
INSERT INTO {x}_usage_logs (id, user_id, endpoint, model, status_code, tokens_used, prompt_tokens, completion_tokens,
                            duration_ms, error_message, metadata, created_at)
SELECT CAST(md5('call' || n) AS uuid), CAST(md5('user' || 1 + n % 50) AS uuid), '/v1/chat/completions',
       'model-' || n % 6, CASE WHEN n % 9 = 0 THEN 429 ELSE 200 END,
       CASE WHEN n % 7 = 0 THEN 0 ELSE 3 * n % 1000 END, CASE WHEN n % 7 = 0 THEN 0 ELSE n % 1000 END, 2 * n % 700,
       n % 5000, CASE WHEN n % 9 = 0 THEN 'too many requests' END,
       CASE WHEN n % 4 = 0 THEN NULL ELSE jsonb_build_object('provider', 'p' || n % 2, 'service', 's', 'number', n) END,
       timestamptz '2026-10-01 00:00:00+00' + n * interval '34 seconds'
FROM generate_series(1, {rows}) n;
INSERT INTO {x}_rate_limits (user_id, limit_type, limit_value, current_count, reset_at)
SELECT CAST(md5('user' || n) AS uuid), 'minute', CASE WHEN n = 7 THEN 200 ELSE 30 END, n, now()
FROM generate_series(1, 50) n;
REFRESH MATERIALIZED VIEW {x}_usage_daily_summary;
"""
#: What the first family's documentation tells its users to run.
OPTION_1 = """
ALTER TABLE groq_usage_logs RENAME TO llm_usage_logs;
ALTER TABLE groq_rate_limit_configs RENAME TO llm_rate_limit_configs;
ALTER TABLE groq_rate_limits RENAME TO llm_rate_limits;
ALTER MATERIALIZED VIEW groq_usage_daily_summary RENAME TO llm_usage_daily_summary;
ALTER FUNCTION refresh_groq_usage_summary() RENAME TO refresh_llm_usage_summary;
ALTER INDEX idx_groq_usage_user_id RENAME TO idx_llm_usage_user_id;
ALTER INDEX idx_groq_usage_model RENAME TO idx_llm_usage_model;
ALTER INDEX idx_groq_usage_created_at RENAME TO idx_llm_usage_created_at;
ALTER INDEX idx_groq_usage_user_date RENAME TO idx_llm_usage_user_date;
ALTER INDEX idx_groq_usage_daily_summary_unique RENAME TO idx_llm_usage_daily_summary_unique;
ALTER INDEX idx_groq_rate_limits_user RENAME TO idx_llm_rate_limits_user;
ALTER INDEX idx_groq_rate_limits_reset RENAME TO idx_llm_rate_limits_reset;
"""
SECOND = """
CREATE SCHEMA migration;
CREATE TABLE migration.client_accounts (id UUID PRIMARY KEY);
CREATE TABLE migration.llm_usage_logs (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(), updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    client_account_id UUID REFERENCES migration.client_accounts(id), engagement_id UUID, user_id INTEGER,
    username VARCHAR(255), flow_id VARCHAR(255), request_id VARCHAR(255), endpoint VARCHAR(500),
    page_context VARCHAR(255), feature_context VARCHAR(255), llm_provider VARCHAR(100) NOT NULL,
    model_name VARCHAR(255) NOT NULL, model_version VARCHAR(100), input_tokens INTEGER, output_tokens INTEGER,
    total_tokens INTEGER, input_cost NUMERIC(10,6), output_cost NUMERIC(10,6), total_cost NUMERIC(10,6),
    cost_currency VARCHAR(3) NOT NULL DEFAULT 'USD', response_time_ms INTEGER, success BOOLEAN NOT NULL DEFAULT true,
    error_type VARCHAR(255), error_message TEXT, request_data JSONB, response_data JSONB, additional_metadata JSONB,
    ip_address VARCHAR(45), user_agent VARCHAR(500)
);
CREATE INDEX idx_llm_usage_reporting ON migration.llm_usage_logs(client_account_id, created_at, success);
CREATE TABLE migration.llm_model_pricing (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(), updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    provider VARCHAR(100) NOT NULL, model_name VARCHAR(255) NOT NULL, model_version VARCHAR(100),
    input_cost_per_1k_tokens NUMERIC(10,6) NOT NULL, output_cost_per_1k_tokens NUMERIC(10,6) NOT NULL,
    currency VARCHAR(3) NOT NULL DEFAULT 'USD', effective_from TIMESTAMPTZ NOT NULL DEFAULT now(),
    effective_to TIMESTAMPTZ, is_active BOOLEAN NOT NULL DEFAULT true, source VARCHAR(255), notes TEXT,
    UNIQUE (provider, model_name, model_version, effective_from)
);
CREATE TABLE migration.llm_usage_summary (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(), updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    period_type VARCHAR(20) NOT NULL, period_start TIMESTAMPTZ NOT NULL, period_end TIMESTAMPTZ NOT NULL,
    client_account_id UUID, engagement_id UUID, user_id INTEGER, llm_provider VARCHAR(100), model_name VARCHAR(255),
    page_context VARCHAR(255), feature_context VARCHAR(255), total_requests INTEGER NOT NULL DEFAULT 0,
    successful_requests INTEGER, failed_requests INTEGER, total_input_tokens BIGINT, total_output_tokens BIGINT,
    total_tokens BIGINT, total_cost NUMERIC(12,6), avg_response_time_ms INTEGER, min_response_time_ms INTEGER,
    max_response_time_ms INTEGER
);
"""
SECOND_ROWS = """
INSERT INTO migration.client_accounts SELECT CAST(md5('client' || n) AS uuid) FROM generate_series(1, 3) n;
INSERT INTO migration.llm_usage_logs (id, created_at, client_account_id, user_id, page_context, feature_context,
    llm_provider, model_name, input_tokens, output_tokens, total_tokens, input_cost, output_cost, total_cost,
    response_time_ms, success, error_type, additional_metadata)
SELECT CAST(md5('report' || n) AS uuid), timestamptz '2026-10-01 00:00:00+00' + n * interval '34 seconds',
    CASE WHEN n % 5 > 0 THEN CAST(md5('client' || 1 + n % 3) AS uuid) END, n % 20, 'page', 'crewai',
    'deepinfra', 'model-' || n % 4, n % 3000, n % 400, CASE WHEN n % 8 > 0 THEN n % 3000 + n % 400 END,
    n % 1000 / 1e6, n % 77 / 1e6, CASE WHEN n % 6 > 0 THEN n % 1000 / 1e6 + n % 77 / 1e6 END,
    n % 9000, n % 11 > 0, CASE WHEN n % 11 = 0 THEN 'Timeout' END, jsonb_build_object('source', 'litellm_callback')
FROM generate_series(1, {rows}) n;
INSERT INTO migration.llm_model_pricing (provider, model_name, input_cost_per_1k_tokens, output_cost_per_1k_tokens)
VALUES ('deepinfra', 'model-1', 0.000070, 0.000280), ('openai', 'gpt-4', 0.03, 0.06);
INSERT INTO migration.llm_usage_summary (period_type, period_start, period_end, llm_provider, total_requests)
VALUES ('monthly', '2025-01-01', '2025-02-01', 'deepinfra', 12345);
"""
