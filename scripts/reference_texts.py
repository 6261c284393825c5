"""Prompts for record-reference.py: our own texts, most of them from seeded generators, 20 to 3 000 tokens long."""

SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
CITIES = ["Arlon", "Bodmin", "Cadair", "Dunmore", "Eskdale", "Falun", "Girvan", "Halden", "Ilmen", "Jarrow", "Kelso", "Lerwick"]
TRADES = ["baker", "miller", "weaver", "joiner", "potter", "tanner", "cooper", "farrier", "glazier", "printer", "sailor", "teacher"]
GOODS = ["barley", "copper", "linen", "honey", "paper", "salt", "timber", "wool", "lamp oil", "glass", "rope", "iron"]
WEATHER = ["a dry spring", "heavy snow", "a week of fog", "the first frost", "a mild autumn", "strong winds from the west"]


def sentence(rng):
    forms = [
        lambda: f"The {rng.choice(TRADES)} of {rng.choice(CITIES)} sold {rng.choice(GOODS)} to the {rng.choice(TRADES)} from {rng.choice(CITIES)} after {rng.choice(WEATHER)}.",
        lambda: f"In {rng.choice(CITIES)} the price of {rng.choice(GOODS)} rose by {rng.randint(2, 40)} percent because of {rng.choice(WEATHER)}.",
        lambda: f"Nobody in {rng.choice(CITIES)} remembered a year in which {rng.choice(GOODS)} and {rng.choice(GOODS)} were so hard to find.",
        lambda: f"A cart with {rng.randint(3, 90)} bundles of {rng.choice(GOODS)} reached {rng.choice(CITIES)} before noon, and the {rng.choice(TRADES)} counted them twice.",
    ]
    return rng.choice(forms)()


def chronicle(rng, sentences):
    return " ".join(sentence(rng) for _ in range(sentences))


def chat(*turns):
    text = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n"
    for index, turn in enumerate(turns):
        text += f"<|im_start|>{'user' if index % 2 == 0 else 'assistant'}\n{turn}<|im_end|>\n"
    return text + "<|im_start|>assistant\n"


def needle(rng, sentences, question):
    lines = [sentence(rng) for _ in range(sentences)]
    keys = rng.sample(CITIES, 2)
    numbers = [rng.randint(1_000_000, 9_999_999) for _ in keys]
    for key, number in zip(keys, numbers):
        lines.insert(rng.randrange(len(lines)), f"One of the special magic numbers for {key} is: {number}.")
    prefix = f"The special magic number for {keys[0]} mentioned in the text is"
    return chat(" ".join(lines) + f"\n{question} {keys[0]}?") + prefix


def prompts(rng, prose):
    names = rng.sample(CITIES, 6)
    yield "opening", f"The old {rng.choice(TRADES)} of {names[3]} opened the door of the boathouse, looked at the {rng.choice(GOODS)} and"
    yield "question", chat(f"What is the boiling point of water, and why does it change on the mountains near {names[4]}?")
    yield "list", chat(f"Write a numbered list of ten things to do in a small town called {names[0]}.")
    yield "dialogue", chat(f"I am travelling from {names[1]} to {names[2]}.", "How nice! How are you travelling?", "By train. Tell me what I should pack, and explain each item.")
    yield "code", 'def read_rows(path, separator=","):\n    """Yield the rows of a text file as lists of strings."""\n    with open(path) as file:\n        for line in file:\n            if line.startswith("#"):\n                continue\n            yield line.rstrip("\\n").split(separator)\n\n\ndef column_means_of_' + rng.choice(GOODS).replace(" ", "_") + '(path):\n    """Return the mean of every numeric column."""\n    sums = []\n    count = 0\n    for row in read_rows(path):\n'
    yield "table", "item\tcount\tprice\n" + "".join(f"{good}\t{rng.randint(1, 99)}\t{rng.randint(100, 9999) / 100:.2f}\n" for good in rng.sample(GOODS, 9)) + rng.choice(GOODS)
    yield "letters", chat("Schreibe einen kurzen Satz über die Insel " + names[5] + ": 島, остров, île, νησί 🏝️ – und übersetze ihn ins Englische.")
    yield "numbers", chat("Continue the series and explain the rule: " + ", ".join(str(step * step + rng.randint(1, 3)) for step in range(3, 15)))
    yield "rewrite", chat(f"Rewrite this paragraph in simpler words:\n\n{prose.split(chr(10) + chr(10))[rng.randrange(6)]}")
    yield "needle-1k", needle(rng, 34, "What is the special magic number for")
    yield "pairs-1k", chat("Here are codes:\n" + "\n".join(f"- {city}-{index}: {rng.randint(10_000, 99_999)}" for index, city in enumerate(rng.choices(CITIES, k=60))) + "\n\nDescribe what this list contains and how its entries are written.")
    yield "summary-1k", chat(f"{prose}\n\nSummarise the story above in {rng.randint(4, 9)} sentences.")
    yield "chronicle-2k", chronicle(rng, 75)
    yield "prose-3k", prose + "\n\n" + chronicle(rng, 68) + "\n\n" + prose[: 1200 + rng.randrange(200)].rsplit(" ", 1)[0]
    # Ends by itself within the recorded continuation.
    yield "short", chat(f"Answer in one short sentence: which is larger, {names[0]} with {rng.randint(100, 900)} houses or {names[1]} with {rng.randint(20, 90)}?")
