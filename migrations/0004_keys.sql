CREATE TABLE `keys` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`hash` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer,
	`revoked_at` integer,
	`agents` text,
	`models` text,
	`budget` text,
	`last_used_at` integer
) WITHOUT ROWID;
--> statement-breakpoint
ALTER TABLE `requests` ADD `key_id` text;