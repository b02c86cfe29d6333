"use strict";
// A slider and a blink for every pair; the page reads the same without.
document.documentElement.classList.add("script");
for (const pair of document.querySelectorAll(".pair[data-pair]")) {
  const slider = pair.querySelector("input");
  const training = pair.querySelector(".training");
  let timer = 0;
  const stop = () => { clearInterval(timer); timer = 0; };
  slider.addEventListener("input", () => {
    stop();
    pair.classList.add("over");
    training.style.setProperty("--at", slider.value + "%");
  });
  pair.querySelector("button").addEventListener("click", () => {
    if (timer) { stop(); pair.classList.remove("over"); return; }
    pair.classList.add("over");
    let shown = false;
    timer = setInterval(() => { shown = !shown; training.style.setProperty("--at", shown ? "0%" : "100%"); }, 500);
  });
}
