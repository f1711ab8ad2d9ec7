CREATE TABLE `circuits` (
	`id` text PRIMARY KEY NOT NULL,
	`weight` real NOT NULL,
	`openings` integer NOT NULL,
	`opened_at` integer NOT NULL,
	`until` integer NOT NULL,
	`kind` text NOT NULL,
	`reason` text NOT NULL,
	`is_told` integer NOT NULL,
	`updated_at` integer NOT NULL
) WITHOUT ROWID;
--> statement-breakpoint
ALTER TABLE `requests` ADD `trail` text;