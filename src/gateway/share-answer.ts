/** One answer for two readers, of whom only the first counts: the second can neither hold it up nor end it. */

/** What the second may fall behind before it is left without the rest (bytes). */
const maxBehindBytes = 8 * 1024 * 1024;

export interface SharedAnswer {
  own: Response;
  copy: Response;
  /** Resolves when the first reader has everything, or has left. */
  ended: Promise<void>;
}

export async function shareAnswer(answer: Response): Promise<SharedAnswer> {
  const { status, headers, body } = answer;
  const isStream = headers.get("content-type")?.includes("text/event-stream") === true;
  if (body === null || !isStream) {
    const bytes = await answer.arrayBuffer();
    const again = () => new Response(bytes, { status, headers });
    return { own: again(), copy: again(), ended: Promise.resolve() };
  }
  const reader = body.getReader();
  let second: ReadableStreamDefaultController<Uint8Array> | undefined;
  const ended = Promise.withResolvers<void>();
  /** Ends it where it is: an error would be one of ours, in the log. */
  const leaveSecond = () => {
    const controller = second;
    second = undefined;
    try {
      controller?.close();
    } catch {
      // It has left by itself.
    }
  };
  const copy = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        second = controller;
      },
      cancel() {
        second = undefined;
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: maxBehindBytes }),
  );
  const own = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) {
          controller.close();
          leaveSecond();
          ended.resolve();
          return;
        }
        controller.enqueue(value);
        if ((second?.desiredSize ?? 1) <= 0) leaveSecond();
        else second?.enqueue(value.slice());
      } catch (cause) {
        controller.error(cause);
        leaveSecond();
        ended.resolve();
      }
    },
    async cancel(reason) {
      leaveSecond();
      ended.resolve();
      await reader.cancel(reason);
    },
  });
  return {
    own: new Response(own, { status, headers }),
    copy: new Response(copy, { status, headers }),
    ended: ended.promise,
  };
}
