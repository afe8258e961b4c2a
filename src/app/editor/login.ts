/** Who is it? A dialog over the page, so that nothing being written is touched. */
import { openSession } from "./api.ts";
import { find, showError } from "./dom.ts";

let asking: Promise<void> | null = null;

/** Asks for the token until it is right; all who ask meanwhile wait for the same answer. */
export function askForToken(why: string | null = null): Promise<void> {
  asking ??= ask(why).finally(() => {
    asking = null;
  });
  return asking;
}

function ask(why: string | null): Promise<void> {
  const dialog = find<HTMLDialogElement>("#login");
  const form = dialog.querySelector("form")!;
  const input = find<HTMLInputElement>("#token");
  const error = dialog.querySelector<HTMLElement>(".error")!;
  const back = document.activeElement as HTMLElement | null;
  input.value = "";
  showError(error, why);
  dialog.oncancel = (event) => event.preventDefault();
  dialog.showModal();
  input.focus();
  return new Promise((resolve) => {
    form.onsubmit = async (event) => {
      event.preventDefault();
      try {
        await openSession({ token: input.value.trim() });
        input.value = "";
        form.onsubmit = null;
        dialog.close();
        back?.focus();
        resolve();
      } catch (failure) {
        showError(error, failure);
        input.select();
      }
    };
  });
}
