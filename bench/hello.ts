/** The least a compiled program can do: the floor under every start-up time. */

console.log("hello");
