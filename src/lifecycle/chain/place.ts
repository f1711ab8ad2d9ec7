/** Puts one of several ordered rows elsewhere with as few changes as can be. Pure. */

export interface Placed {
  id: string;
  /** The least first; equals go by their id. */
  order: number;
}

/**
 * The new orders of the rows that get one: mostly the moved one's alone, and where no number is free between its neighbours, those
 * of as few others as possible.
 * @param rows in their order
 * @param index among the others, 0 for the first
 */
export function placeAt(rows: readonly Placed[], id: string, index: number): Map<string, number> {
  const others = rows.filter((row) => row.id !== id);
  const current = rows.find((row) => row.id === id)?.order ?? 0;
  const above = others.slice(0, index);
  const below = others.slice(index);
  const nearby = [above.at(-1)?.order, below[0]?.order].filter((order) => order !== undefined);
  const reach = rows.length;
  let best: { orders: Map<string, number>; cost: number } | undefined;
  for (let order = Math.min(...nearby) - reach; order <= Math.max(...nearby) + reach; order++) {
    const pushed = push(above, below, { id, order });
    if (order !== current) pushed.set(id, order);
    // Fewer rows count before shorter ways, and a way of the moved row's own before one of others.
    const way = [...pushed].reduce((sum, [at, to]) => {
      const from = rows.find((row) => row.id === at)?.order ?? 0;
      return sum + Math.abs(to - from) * (at === id ? 1 : 2);
    }, 0);
    const cost = pushed.size * 1e6 + way;
    if (best === undefined || cost < best.cost) best = { orders: pushed, cost };
  }
  return best?.orders ?? new Map();
}

/** What has to give way on both sides of a row. */
function push(above: readonly Placed[], below: readonly Placed[], moved: Placed): Map<string, number> {
  const orders = new Map<string, number>();
  let last = moved;
  for (const row of below) {
    if (isBefore(last, row)) break;
    last = { id: row.id, order: last.id.localeCompare(row.id) < 0 ? last.order : last.order + 1 };
    orders.set(last.id, last.order);
  }
  let first = moved;
  for (const row of above.toReversed()) {
    if (isBefore(row, first)) break;
    first = { id: row.id, order: row.id.localeCompare(first.id) < 0 ? first.order : first.order - 1 };
    orders.set(first.id, first.order);
  }
  return orders;
}

function isBefore(one: Placed, other: Placed): boolean {
  return (one.order - other.order || one.id.localeCompare(other.id)) < 0;
}
