-- Keys that are bound to a path, expire, or have a successor; and an organization's settings.

ALTER TABLE api_keys ADD COLUMN path_prefix TEXT;
ALTER TABLE api_keys ADD COLUMN expires_at INTEGER;
ALTER TABLE api_keys ADD COLUMN rotated_to TEXT;

ALTER TABLE organizations ADD COLUMN week_start TEXT NOT NULL DEFAULT 'mon';
ALTER TABLE organizations ADD COLUMN reset_hour INTEGER NOT NULL DEFAULT 0;
ALTER TABLE organizations ADD COLUMN fiscal_year_start_month INTEGER NOT NULL DEFAULT 1;
ALTER TABLE organizations ADD COLUMN currency TEXT;
ALTER TABLE organizations ADD COLUMN retention_days INTEGER NOT NULL DEFAULT 90;
ALTER TABLE organizations ADD COLUMN auto_create_paths INTEGER NOT NULL DEFAULT 1;
ALTER TABLE organizations ADD COLUMN capture_bodies INTEGER NOT NULL DEFAULT 0;
ALTER TABLE organizations ADD COLUMN settings_revision INTEGER NOT NULL DEFAULT 0;
