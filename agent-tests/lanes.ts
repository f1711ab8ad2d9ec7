/** Agents spend much of their time asleep before they try again: two at a time, however many tests Bun has begun. */

let freeLanes = 2;
const waiting: (() => void)[] = [];

/** Resolves when there is a lane; the result gives it to the next. */
export async function enterLane(): Promise<() => void> {
  if (freeLanes > 0) freeLanes -= 1;
  else await new Promise<void>((resolve) => waiting.push(resolve));
  return () => {
    const next = waiting.shift();
    if (next === undefined) freeLanes += 1;
    else next();
  };
}
