// Search among the cards: all words typed must begin somewhere in a card's words.

(() => {
  const form = document.querySelector(".search");
  const [field, answer] = [form.querySelector("input"), form.querySelector("output")];
  const cards = [...document.querySelectorAll(".card")];
  form.hidden = cards.length < 4; // without scripts, or with few cards, there is nothing to search

  function search() {
    const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const card of cards) {
      const words = card.dataset.words.split(/[^\p{L}\p{N}]+/u);
      card.hidden = !wanted.every((start) => words.some((word) => word.startsWith(start)));
      found += !card.hidden;
    }
    answer.textContent = wanted.length ? `${found} of ${cards.length}` : "";
  }

  field.addEventListener("input", search);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    document.querySelector(".card:not([hidden]) a")?.focus();
  });
})();
