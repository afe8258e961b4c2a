import { expect, it, vi } from "vitest";
import { keepPurged, toChannel, toRegister } from "../../src/logs/rows.ts";

it("reads what either database gives: numbers or their digits, booleans or 0 and 1", () => {
  const channel = { id: 7, run: "r", epochs: [["e", 0]], seq: 2 ** 52, lastAt: 3, floor: 0 };
  const row = { ...channel, epochs: '[["e",0]]', last_at: 3 };
  expect(toChannel(row)).toEqual(channel);
  expect(toChannel({ ...row, id: "7", seq: String(2 ** 52), last_at: "3", floor: "0" })).toEqual(channel);
  const register = { id: "a", at: 1, seq: 2, show: true, content: "A", version: null, removed: false };
  expect(toRegister({ ...register, show: 1, removed: 0 })).toEqual(register);
  expect(toRegister({ ...register, at: "1", seq: "2", version: "5" })).toEqual({ ...register, version: 5 });
});

it("purges now and every six hours, whatever becomes of it, and tells, until it is ended", async () => {
  vi.useFakeTimers();
  try {
    const away = new Error("the database is away");
    const purge = vi.fn(async () => Promise.reject(away));
    const onError = vi.fn();
    const end = keepPurged(purge, onError);
    expect(purge).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(12 * 3_600_000);
    expect(purge).toHaveBeenCalledTimes(3);
    expect(purge).toHaveBeenLastCalledWith(Date.now());
    expect(onError.mock.calls).toEqual(Array(3).fill([away, { stage: "purge" }]));
    vi.advanceTimersByTime(6 * 3_600_000);
    end();
    await vi.advanceTimersByTimeAsync(24 * 3_600_000);
    expect(purge).toHaveBeenCalledTimes(4);
    expect(onError).toHaveBeenCalledTimes(3);
  } finally {
    vi.useRealTimers();
  }
});
