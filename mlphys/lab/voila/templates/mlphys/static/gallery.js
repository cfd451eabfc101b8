// Search among the cards: all words typed must begin somewhere in a card's words, and its level be the one chosen, if any.

(() => {
  const form = document.querySelector(".search");
  const [field, answer] = [form.querySelector("[type=search]"), form.querySelector("output")];
  const cards = [...document.querySelectorAll(".card")];
  form.hidden = cards.length < 4; // without scripts, or with few cards, there is nothing to search

  function search() {
    const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const level = form.elements.level.value;
    let found = 0;
    for (const card of cards) {
      const words = card.dataset.words.split(/[^\p{L}\p{N}]+/u);
      const fits = !level || card.dataset.level === level;
      card.hidden = !fits || !wanted.every((start) => words.some((word) => word.startsWith(start)));
      found += !card.hidden;
    }
    answer.textContent = wanted.length || level ? `${found} of ${cards.length}` : "";
  }

  form.addEventListener("input", search);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    document.querySelector(".card:not([hidden]) a")?.focus();
  });
  search(); // a browser may bring back what was typed before
})();
