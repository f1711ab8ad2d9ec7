CREATE TABLE `captures` (
	`request_id` text PRIMARY KEY NOT NULL,
	`created_at` integer NOT NULL,
	`protocol` text NOT NULL,
	`query` text NOT NULL,
	`headers` text NOT NULL,
	`request` blob,
	`request_bytes` integer NOT NULL,
	`response` blob,
	`response_bytes` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `captures_created` ON `captures` (`created_at`);