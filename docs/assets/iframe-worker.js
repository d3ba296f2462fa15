// A page opened from disk may not start a Worker, which the search needs. This one runs the
// worker's script in a hidden frame of the page. (The theme looks for the class by this name.)
if (location.protocol === "file:") {
  window.IFrameWorker = class IFrameWorker extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.appendChild(frame);
      this.inside = frame.contentWindow;
      const load = (src) =>
        new Promise((done, fail) => {
          const script = this.inside.document.createElement("script");
          script.src = new URL(src, location.href).href;
          script.onload = done;
          script.onerror = fail;
          this.inside.document.body.appendChild(script);
        });
      this.inside.importScripts = (...sources) =>
        sources.reduce((before, src) => before.then(() => load(src)), Promise.resolve());
      this.inside.postMessage = (data) =>
        this.dispatchEvent(new MessageEvent("message", { data }));
      this.ready = load(url);
    }
    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })));
    }
    terminate() {
      this.inside.frameElement.remove();
    }
  };
  window.Worker = window.IFrameWorker;
}
