/**
 * Puts a decoded conversation into the order that every upstream accepts, and repairs what interrupted, compacted or
 * failed-over sessions leave behind: calls without results, results without calls, empty answers.
 */

import type { AssistantPart, ToolCall, ToolResult, Turn, UserPart } from "./chat.ts";

const interrupted = "(no result: interrupted)";

/** A call that waits for its result, under the id that the client knows it by. */
interface Slot {
  /** The id as sent upstream: unique within its turn. */
  id: string;
  result: ToolResult | undefined;
}

/** What an assistant turn becomes, and the results that will stand behind it, in call order. */
interface Round {
  parts: AssistantPart[];
  slots: Slot[];
}

type AssistantTurn = Extract<Turn, { role: "assistant" }>;

/**
 * Afterwards: every assistant turn with calls is followed at once by one tool turn that answers each of its calls once,
 * in call order; what stood between call and result comes behind. No turn is empty, no two user or two tool turns are
 * neighbours, reasoning is always followed by a text or a call of its turn, and call ids are unique within a turn
 * (the same id in different turns stays: clients do reuse them).
 *
 * Pure; turns that need no repair are returned as the same objects.
 */
export function settleTurns(turns: Turn[]): Turn[] {
  const settled: Turn[] = [];
  const rounds = collectRounds(turns);
  for (const [index, turn] of turns.entries()) {
    switch (turn.role) {
      case "system":
        if (turn.text.trim() !== "") settled.push(turn);
        break;
      case "user":
        pushUser(settled, turn.parts, turn);
        break;
      case "assistant": {
        const round = rounds.byTurn.get(index);
        if (round === undefined || round.parts.length === 0) break;
        settled.push(round.parts === turn.parts ? turn : { role: "assistant", parts: round.parts });
        if (round.slots.length > 0) settled.push({ role: "tool", results: round.slots.map(resultOf) });
        break;
      }
      case "tool":
        for (const result of turn.results) {
          if (rounds.orphans.has(result)) pushUser(settled, orphanParts(result));
        }
        break;
      default:
        turn satisfies never;
    }
  }
  return settled;
}

/** Cleans the assistant turns and gives each result to the nearest earlier call of its id that has none yet. */
function collectRounds(turns: Turn[]): { byTurn: Map<number, Round>; orphans: Set<ToolResult> } {
  const byTurn = new Map<number, Round>();
  const orphans = new Set<ToolResult>();
  const waiting = new Map<string, Slot[]>();
  let carried: AssistantPart[] = [];
  for (const [index, turn] of turns.entries()) {
    if (turn.role === "assistant") {
      const next = turns[index + 1];
      const source = carried.length === 0 ? turn.parts : [...carried, ...turn.parts];
      carried = [];
      // A client that sends each item as a message of its own: this reasoning belongs to what comes right behind it.
      if (isOnlyReasoning(source) && next?.role === "assistant") carried = source;
      else byTurn.set(index, openRound(source, waiting));
    } else if (turn.role === "tool") {
      for (const result of turn.results) {
        const slots = waiting.get(result.callId);
        if (slots === undefined) orphans.add(result);
        else {
          // With no free slot this is a second result for the same call; the first one counts.
          const slot = slots.find((candidate) => candidate.result === undefined);
          if (slot !== undefined) slot.result = result;
        }
      }
    }
  }
  return { byTurn, orphans };
}

function openRound(source: AssistantPart[], waiting: Map<string, Slot[]>): Round {
  const parts = withoutDeadParts(source);
  const calls = parts.filter((part): part is ToolCall => part.type === "tool-call");
  if (calls.length === 0) return { parts, slots: [] };

  const ownIds = new Set(calls.map((call) => call.id));
  const opened = new Map<string, Slot[]>();
  const renamed = new Map<ToolCall, string>();
  const slots = calls.map((call): Slot => {
    const slot: Slot = { id: call.id, result: undefined };
    const sameId = opened.get(call.id);
    if (sameId === undefined) opened.set(call.id, [slot]);
    else {
      slot.id = freeId(call.id, ownIds);
      renamed.set(call, slot.id);
      sameId.push(slot);
    }
    return slot;
  });
  for (const [id, same] of opened) waiting.set(id, same);
  if (renamed.size === 0) return { parts, slots };
  return {
    parts: parts.map((part) => {
      const id = part.type === "tool-call" ? renamed.get(part) : undefined;
      return part.type === "tool-call" && id !== undefined ? { ...part, id } : part;
    }),
    slots,
  };
}

function freeId(id: string, taken: Set<string>): string {
  let number = 2;
  while (taken.has(`${id}_${number}`)) number++;
  const free = `${id}_${number}`;
  taken.add(free);
  return free;
}

/**
 * Drops empty texts and the reasoning at the end of a turn: an upstream that gets its reasoning back demands the
 * answer it led to (OpenAI: "reasoning item without its required following item"; Anthropic: no final thinking block).
 */
function withoutDeadParts(source: AssistantPart[]): AssistantPart[] {
  let last = source.length - 1;
  while (last >= 0 && (source[last]?.type === "reasoning" || isEmptyText(source[last]))) last--;
  const hasHole = source.some((part, index) => index > last || isEmptyText(part));
  return hasHole ? source.filter((part, index) => index <= last && !isEmptyText(part)) : source;
}

function isEmptyText(part: AssistantPart | undefined): boolean {
  return (part?.type === "text" || part?.type === "refusal") && part.text.trim() === "";
}

function isOnlyReasoning(parts: AssistantTurn["parts"]): boolean {
  return parts.length > 0 && parts.every((part) => part.type === "reasoning");
}

function resultOf(slot: Slot): ToolResult {
  const { id, result } = slot;
  if (result === undefined) return { callId: id, parts: [{ type: "text", text: interrupted }], isError: false };
  return result.callId === id ? result : { ...result, callId: id };
}

/** A result whose call is gone (cut off by compaction) is still something the model was told. */
function orphanParts(result: ToolResult): UserPart[] {
  const label = `[tool result ${result.callId}]`;
  const [first, ...rest] = result.parts;
  if (first === undefined) return [{ type: "text", text: label }];
  if (first.type !== "text") return [{ type: "text", text: label }, ...result.parts];
  return [{ ...first, text: `${label} ${first.text}` }, ...rest];
}

/** @param whole the turn that `parts` already are, to be kept as it is when it has no neighbour to join */
function pushUser(settled: Turn[], parts: UserPart[], whole?: Turn): void {
  const kept = parts.some(isEmptyUserText) ? parts.filter((part) => !isEmptyUserText(part)) : parts;
  if (kept.length === 0) return;
  const previous = settled.at(-1);
  if (previous?.role === "user") {
    settled[settled.length - 1] = { role: "user", parts: [...previous.parts, ...kept] };
  } else {
    settled.push(whole !== undefined && kept === parts ? whole : { role: "user", parts: kept });
  }
}

function isEmptyUserText(part: UserPart): boolean {
  return part.type === "text" && part.text.trim() === "";
}
