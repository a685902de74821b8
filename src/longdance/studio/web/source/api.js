// Talking to the studio's server. Every failure becomes an Error whose message is a sentence that can be shown.

const UNREACHABLE = "The studio's server does not answer. Is it still running in the terminal?";

async function answer(method, path, options = {}) {
  let response;
  try {
    response = await fetch(path, { method, ...options });
  } catch {
    throw new Error(UNREACHABLE);
  }
  if (response.ok) return response;
  let told = null;
  try {
    told = (await response.json()).error;
  } catch {
    // What stands before the server may answer with a page; the status is all that it says to us.
  }
  throw new Error(told ? sentence(told) : `The studio answered ${response.status} to ${method} ${path}.`);
}

export function sentence(text) {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}

export async function get(path) {
  return (await answer("GET", path)).json();
}

export async function send(method, path, body) {
  const headers = { "content-type": "application/json" };
  const options = body === undefined ? {} : { headers, body: JSON.stringify(body) };
  const response = await answer(method, path, options);
  return response.status === 204 ? null : response.json();
}

export async function getBytes(path) {
  return (await answer("GET", path)).arrayBuffer();
}

// A file and the name that the server gives it.
export async function getFile(path) {
  const response = await answer("GET", path);
  const told = response.headers.get("content-disposition") ?? "";
  const encoded = /filename\*=utf-8''([^;]+)/i.exec(told);
  const plain = /filename="([^"]+)"/i.exec(told);
  return { blob: await response.blob(), name: encoded ? decodeURIComponent(encoded[1]) : (plain?.[1] ?? "dance") };
}

// fetch does not tell how far an upload is.
export function upload(path, field, file, progress) {
  return new Promise((resolve, reject) => {
    const form = new FormData();
    form.append(field, file);
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.responseType = "json";
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onerror = () => reject(new Error(UNREACHABLE));
    request.onload = () => {
      if (request.status < 300) resolve(request.response);
      else reject(new Error(sentence(request.response?.error ?? `the studio answered ${request.status}`)));
    };
    request.send(form);
  });
}

// Follows a project: its jobs, when it changes, and when it is gone; returns a function that stops following. `lost` is
// called when the connection breaks, which the browser then makes anew.
export function followProject(id, { jobs, changed, gone, lost }) {
  const events = new EventSource(`/api/projects/${id}/events`);
  events.addEventListener("jobs", (event) => jobs(JSON.parse(event.data)));
  events.addEventListener("changed", (event) => changed(JSON.parse(event.data)));
  events.addEventListener("gone", (event) => {
    events.close();
    gone(JSON.parse(event.data));
  });
  events.onerror = () => {
    // A connection that is refused is not made anew: there is no such project any more.
    if (events.readyState === EventSource.CLOSED) gone({ error: null });
    else lost(new Error(UNREACHABLE));
  };
  return () => events.close();
}
