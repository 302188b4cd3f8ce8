// Questions to the API: dated, and answered with data or with a sentence that can be shown.

import { t } from "./dom.js";

export class ApiError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

export class Api {
  constructor(page) {
    this.base = page.api;
    this.asOf = page.asOf;
  }

  async get(path, query = {}, signal = undefined) {
    const search = new URLSearchParams();
    if (this.asOf) search.set("as_of", this.asOf);
    for (const [name, value] of Object.entries(query)) {
      if (value !== null && value !== undefined && value !== "") search.set(name, value);
    }
    const tail = search.size ? `?${search}` : "";
    let answer;
    try {
      answer = await fetch(`${this.base}${path}${tail}`, { signal, headers: { Accept: "application/json" } });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError("away", t("The server cannot be reached. Check the connection and try again."));
    }
    const data = await answer.json().catch(() => ({}));
    if (answer.ok) return data;
    throw new ApiError(data.code ?? "error", data.title || data.detail || t("The server could not answer. Try again."));
  }
}
