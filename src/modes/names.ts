/** The set-ups that Clutch puts together itself, by name; what each is, is in templates.ts. */

export const templateNames = ["free", "local", "budget", "premium", "reasoning", "vision"] as const;

export type TemplateName = (typeof templateNames)[number];

export function isTemplate(name: string): name is TemplateName {
  return (templateNames as readonly string[]).includes(name);
}
