ALTER TABLE `requests` ADD `compression` text;--> statement-breakpoint
ALTER TABLE `requests` ADD `tokens_before` integer;--> statement-breakpoint
ALTER TABLE `requests` ADD `tokens_after` integer;