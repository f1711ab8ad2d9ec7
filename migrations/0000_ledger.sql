CREATE TABLE `attempts` (
	`request_id` text NOT NULL,
	`number` integer NOT NULL,
	`provider` text NOT NULL,
	`model` text NOT NULL,
	`protocol` text NOT NULL,
	`started_at` integer NOT NULL,
	`duration_ms` integer NOT NULL,
	`failure_kind` text,
	`failure_scope` text,
	`http_status` integer,
	`message` text,
	`retry_after_ms` integer,
	PRIMARY KEY(`request_id`, `number`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `requests` (
	`id` text PRIMARY KEY NOT NULL,
	`started_at` integer NOT NULL,
	`status` text NOT NULL,
	`protocol` text NOT NULL,
	`streamed` integer NOT NULL,
	`agent` text,
	`code` text,
	`launch_id` text,
	`session` text,
	`model_requested` text NOT NULL,
	`rule` text,
	`served_by` text,
	`attempts` integer NOT NULL,
	`http_status` integer,
	`error` text,
	`input_tokens` integer,
	`cache_read_tokens` integer,
	`cache_write_tokens` integer,
	`output_tokens` integer,
	`reasoning_tokens` integer,
	`usage_estimated` integer,
	`cost_usd` real,
	`duration_ms` integer,
	`first_token_ms` integer
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `requests_pending` ON `requests` (`status`) WHERE "requests"."status" = 'pending';