CREATE TABLE `launches` (
	`id` text PRIMARY KEY NOT NULL,
	`folder` text,
	`agent` text,
	`code` text,
	`session` text,
	`started_at` integer NOT NULL
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `prices` (
	`provider` text NOT NULL,
	`model` text NOT NULL,
	`at` integer NOT NULL,
	`source` text NOT NULL,
	`input` real NOT NULL,
	`output` real NOT NULL,
	`cache_read` real,
	`cache_write` real,
	PRIMARY KEY(`provider`, `model`, `at`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `session_days` (
	`day` integer NOT NULL,
	`session` text NOT NULL,
	`agent` text NOT NULL,
	`folder` text NOT NULL,
	`launch_id` text NOT NULL,
	`first_at` integer NOT NULL,
	`last_at` integer NOT NULL,
	`requests` integer DEFAULT 0 NOT NULL,
	`completed` integer DEFAULT 0 NOT NULL,
	`errors` integer DEFAULT 0 NOT NULL,
	`aborted` integer DEFAULT 0 NOT NULL,
	`input_tokens` integer DEFAULT 0 NOT NULL,
	`cache_read_tokens` integer DEFAULT 0 NOT NULL,
	`cache_write_tokens` integer DEFAULT 0 NOT NULL,
	`output_tokens` integer DEFAULT 0 NOT NULL,
	`reasoning_tokens` integer DEFAULT 0 NOT NULL,
	`estimated` integer DEFAULT 0 NOT NULL,
	`cost_usd` real DEFAULT 0 NOT NULL,
	`left_usd` real DEFAULT 0 NOT NULL,
	`unpriced` integer DEFAULT 0 NOT NULL,
	`free` integer DEFAULT 0 NOT NULL,
	`plan` integer DEFAULT 0 NOT NULL,
	`moved` integer DEFAULT 0 NOT NULL,
	`moved_unknown` integer DEFAULT 0 NOT NULL,
	`cascade_saved_usd` real DEFAULT 0 NOT NULL,
	`free_saved_usd` real DEFAULT 0 NOT NULL,
	`tokens_before` integer DEFAULT 0 NOT NULL,
	`tokens_after` integer DEFAULT 0 NOT NULL,
	`compressed` integer DEFAULT 0 NOT NULL,
	`compressed_unknown` integer DEFAULT 0 NOT NULL,
	`compression_saved_usd` real DEFAULT 0 NOT NULL,
	PRIMARY KEY(`day`, `session`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `usage_days` (
	`day` integer NOT NULL,
	`agent` text NOT NULL,
	`provider` text NOT NULL,
	`model` text NOT NULL,
	`folder` text NOT NULL,
	`tier` text NOT NULL,
	`requests` integer DEFAULT 0 NOT NULL,
	`completed` integer DEFAULT 0 NOT NULL,
	`errors` integer DEFAULT 0 NOT NULL,
	`aborted` integer DEFAULT 0 NOT NULL,
	`input_tokens` integer DEFAULT 0 NOT NULL,
	`cache_read_tokens` integer DEFAULT 0 NOT NULL,
	`cache_write_tokens` integer DEFAULT 0 NOT NULL,
	`output_tokens` integer DEFAULT 0 NOT NULL,
	`reasoning_tokens` integer DEFAULT 0 NOT NULL,
	`estimated` integer DEFAULT 0 NOT NULL,
	`cost_usd` real DEFAULT 0 NOT NULL,
	`left_usd` real DEFAULT 0 NOT NULL,
	`unpriced` integer DEFAULT 0 NOT NULL,
	`free` integer DEFAULT 0 NOT NULL,
	`plan` integer DEFAULT 0 NOT NULL,
	`moved` integer DEFAULT 0 NOT NULL,
	`moved_unknown` integer DEFAULT 0 NOT NULL,
	`cascade_saved_usd` real DEFAULT 0 NOT NULL,
	`free_saved_usd` real DEFAULT 0 NOT NULL,
	`tokens_before` integer DEFAULT 0 NOT NULL,
	`tokens_after` integer DEFAULT 0 NOT NULL,
	`compressed` integer DEFAULT 0 NOT NULL,
	`compressed_unknown` integer DEFAULT 0 NOT NULL,
	`compression_saved_usd` real DEFAULT 0 NOT NULL,
	PRIMARY KEY(`day`, `agent`, `provider`, `model`, `folder`, `tier`)
) WITHOUT ROWID;
--> statement-breakpoint
ALTER TABLE `attempts` ADD `input_tokens` integer;--> statement-breakpoint
ALTER TABLE `attempts` ADD `cache_read_tokens` integer;--> statement-breakpoint
ALTER TABLE `attempts` ADD `cache_write_tokens` integer;--> statement-breakpoint
ALTER TABLE `attempts` ADD `output_tokens` integer;--> statement-breakpoint
ALTER TABLE `attempts` ADD `reasoning_tokens` integer;--> statement-breakpoint
ALTER TABLE `attempts` ADD `cost_usd` real;--> statement-breakpoint
ALTER TABLE `attempts` ADD `pricing` text;--> statement-breakpoint
ALTER TABLE `requests` ADD `folder` text;--> statement-breakpoint
ALTER TABLE `requests` ADD `tier` text;--> statement-breakpoint
ALTER TABLE `requests` ADD `pricing` text;--> statement-breakpoint
ALTER TABLE `requests` ADD `price_source` text;--> statement-breakpoint
ALTER TABLE `requests` ADD `price_at` integer;--> statement-breakpoint
ALTER TABLE `requests` ADD `first_choice` text;--> statement-breakpoint
ALTER TABLE `requests` ADD `first_choice_usd` real;--> statement-breakpoint
ALTER TABLE `requests` ADD `compression_usd` real;--> statement-breakpoint
CREATE INDEX `requests_unpriced` ON `requests` (`served_by`) WHERE "requests"."served_by" is not null and "requests"."cost_usd" is null;--> statement-breakpoint
UPDATE `requests` SET `pricing` = 'billed', `price_source` = 'upstream', `price_at` = `started_at` WHERE `cost_usd` IS NOT NULL;--> statement-breakpoint
UPDATE `requests` SET `tier` = substr(`code`, 4, 1) WHERE length(`code`) = 4;--> statement-breakpoint
INSERT INTO `usage_days` (`day`, `agent`, `provider`, `model`, `folder`, `tier`, `requests`, `completed`, `errors`, `aborted`, `input_tokens`, `cache_read_tokens`, `cache_write_tokens`, `output_tokens`, `reasoning_tokens`, `estimated`, `cost_usd`, `unpriced`, `tokens_before`, `tokens_after`, `compressed`, `compressed_unknown`)
SELECT
	`started_at` / 86400000 AS `by_day`,
	coalesce(`agent`, '') AS `by_agent`,
	coalesce(substr(`served_by`, 1, instr(`served_by`, ':') - 1), '') AS `by_provider`,
	coalesce(substr(`served_by`, instr(`served_by`, ':') + 1), '') AS `by_model`,
	'' AS `by_folder`,
	coalesce(`tier`, '') AS `by_tier`,
	count(*) AS `requests`,
	sum(`status` = 'completed') AS `completed`,
	sum(`status` = 'error') AS `errors`,
	sum(`status` = 'aborted') AS `aborted`,
	coalesce(sum(`input_tokens`), 0) AS `input_tokens`,
	coalesce(sum(`cache_read_tokens`), 0) AS `cache_read_tokens`,
	coalesce(sum(`cache_write_tokens`), 0) AS `cache_write_tokens`,
	coalesce(sum(`output_tokens`), 0) AS `output_tokens`,
	coalesce(sum(`reasoning_tokens`), 0) AS `reasoning_tokens`,
	coalesce(sum(`usage_estimated` = 1), 0) AS `estimated`,
	coalesce(sum(`cost_usd`), 0.0) AS `cost_usd`,
	coalesce(sum(`cost_usd` IS NULL AND `served_by` NOT LIKE 'clutch:%'), 0) AS `unpriced`,
	coalesce(sum(`tokens_before`), 0) AS `tokens_before`,
	coalesce(sum(`tokens_after`), 0) AS `tokens_after`,
	coalesce(sum(`tokens_before` > `tokens_after`), 0) AS `compressed`,
	coalesce(sum(`tokens_before` > `tokens_after`), 0) AS `compressed_unknown`
FROM `requests` WHERE `status` <> 'pending'
GROUP BY `by_day`, `by_agent`, `by_provider`, `by_model`, `by_folder`, `by_tier`;--> statement-breakpoint
INSERT INTO `session_days` (`day`, `session`, `agent`, `folder`, `launch_id`, `first_at`, `last_at`, `requests`, `completed`, `errors`, `aborted`, `input_tokens`, `cache_read_tokens`, `cache_write_tokens`, `output_tokens`, `reasoning_tokens`, `estimated`, `cost_usd`, `unpriced`, `tokens_before`, `tokens_after`, `compressed`, `compressed_unknown`)
SELECT
	`started_at` / 86400000 AS `by_day`,
	coalesce(`session`, `launch_id`, '') AS `by_session`,
	coalesce(max(`agent`), '') AS `its_agent`,
	'' AS `its_folder`,
	coalesce(max(`launch_id`), '') AS `its_launch`,
	min(`started_at`) AS `first_at`,
	max(`started_at`) AS `last_at`,
	count(*) AS `requests`,
	sum(`status` = 'completed') AS `completed`,
	sum(`status` = 'error') AS `errors`,
	sum(`status` = 'aborted') AS `aborted`,
	coalesce(sum(`input_tokens`), 0) AS `input_tokens`,
	coalesce(sum(`cache_read_tokens`), 0) AS `cache_read_tokens`,
	coalesce(sum(`cache_write_tokens`), 0) AS `cache_write_tokens`,
	coalesce(sum(`output_tokens`), 0) AS `output_tokens`,
	coalesce(sum(`reasoning_tokens`), 0) AS `reasoning_tokens`,
	coalesce(sum(`usage_estimated` = 1), 0) AS `estimated`,
	coalesce(sum(`cost_usd`), 0.0) AS `cost_usd`,
	coalesce(sum(`cost_usd` IS NULL AND `served_by` NOT LIKE 'clutch:%'), 0) AS `unpriced`,
	coalesce(sum(`tokens_before`), 0) AS `tokens_before`,
	coalesce(sum(`tokens_after`), 0) AS `tokens_after`,
	coalesce(sum(`tokens_before` > `tokens_after`), 0) AS `compressed`,
	coalesce(sum(`tokens_before` > `tokens_after`), 0) AS `compressed_unknown`
FROM `requests` WHERE `status` <> 'pending'
GROUP BY `by_day`, `by_session`;
