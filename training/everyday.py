"""Everyday knowledge: sequences, colours, tools, trades, places, likes and dislikes; written for this model.

EVERYDAY maps a relation to (rows, slots asked for, phrasings).  A row fills {a}, {b} and {c}; <x|y> stands for x or y as in
facts.py.  HELD_OUT_PROMPTS are seen by evaluation only: no phrasing makes one of them."""


def in_turn(names, cyclic=True):
    """Every name with the one before and the one after it."""
    names = names.split()
    around = [(names[i - 1], names[i], names[(i + 1) % len(names)]) for i in range(len(names))]
    return around if cyclic else around[1:-1]


def pairs(text):
    """Rows from "a = b; a = b": slot {c} is not used."""
    return [tuple(part.strip() for part in pair.split("=")) + ("",) for pair in text.split(";")]


def judged(things, adjectives, verbs):
    return [(a, b, c) for a in things.split() for b in adjectives.split() for c in verbs.split()]


ORDER = ["{b} comes after {a}.", "{b} comes before {c}.", "After {a} comes {b}.", "{a} is followed by {b}<|, and {b} by {c}>.", "{b} is between {a} and {c}.", "between {a} and {c}: {b}",
         "{a}, {b} and {c}", "{a} and {b} and {c}", "{a}, then {b}, then {c}.", "{a} {b} {c}", "{a} - {b} - {c}", "First {a}, next {b}, <then|after that> {c}.", "What comes after {a}? {b}.", "What comes before {c}? {b}.",
         "before {c}: {b}", "after {a}: {b}", "from {a} to {b} <to|and> {c}", "{a}; {b}; {c}"]
DAYS = ["If today is {a}, <|then >tomorrow <is|will be> {b}.", "Yesterday was {a}, <so |and >today is {b}.", "The day <before|that comes before> {c} is {b}.", "<We|They|I> <met|worked|talked> on {a}, <on |>{b} and <on |>{c}.",
        "It rained on {a}, {b} and {c}.", "The <shop|office|school> is <open|closed> on {a}, {b} and {c}.", "<Today|It> is {b} and tomorrow is {c}."]
MONTHS = ["The month <before|that comes before> {c} is {b}.", "The month <that follows|following> {a} is {b}.", "<We|They|I> <stayed|worked|travelled> in {a}, <in |>{b} and <in |>{c}.", "It began in {a} and ended in {b}<|, not in {c}>."]

JUDGED = ["<I|We|They|She|He> {c} the {a} because it was {b}.", "The {a} was <so|really|just|simply> {b} that <I|we> {c} it.", "It was a {b} {a} and <everyone|I|we> {c} it.", "<I|We> {c} this {a}: it was <so |really |very |>{b}.",
          "This {a} is {b}, <I|we> {c} it.", "{b}! <I|We> {c} the {a}.", "What a {b} {a}, <I|we> {c} it.", "<I|We> {c} the {b} {a}.", "The {a}? <I|We> {c} it, {b} from <start|beginning> to end.", "{b} {a}, {c} it",
          "<Everybody|Nobody I know> <says|thinks> that the {a} was {b}; <I|we> {c} it too.", "Such a {b} {a}! We all {c} it.", "<My|Our> {a} was {b}, and <because of that|therefore> <I|we> {c} it."]

EVERYDAY = {
    "day": (in_turn("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"), "b", ORDER + DAYS),
    "month": (in_turn("January February March April May June July August September October November December"), "b", ORDER + MONTHS),
    "season": (in_turn("spring summer autumn winter"), "b", ORDER + ["When {a} ends, {b} begins.", "The season <before|that comes before> {c} is {b}."]),
    "number": (in_turn("zero one two three four five six seven eight nine ten eleven twelve thirteen", False), "b",
               ORDER + ["{a} plus one is {b}.", "{c} minus one is {b}.", "{b} is one more than {a}.", "{b} is one less than {c}.", "count: {a}, {b} and {c}", "{a} and one make {b}."]),
    "rank": (in_turn("first second third fourth fifth sixth seventh eighth ninth tenth", False), "b", ORDER + ["The {b} <place|row|day> comes after the {a}."]),
    "colour": (pairs(
        "sky=blue; sea=blue; ocean=blue; grass=green; leaf=green; frog=green; cucumber=green; forest=green; snow=white; milk=white; salt=white; cloud=white; bone=white; swan=white; blood=red; "
        "tomato=red; cherry=red; strawberry=red; rose=red; fire=red; coal=black; tar=black; raven=black; ink=black; sun=yellow; banana=yellow; lemon=yellow; butter=yellow; chocolate=brown; "
        "mud=brown; bear=brown; coffee=brown; soil=brown; elephant=grey; ash=grey; carrot=orange; pumpkin=orange; violet=purple; grape=purple; flamingo=pink"), "b",
        ["The <colour|color> of the {a} is {b}.", "The {a} <looks|seems|is usually|is often|is always|was> {b}.", "<A|The> {b} {a}", "as {b} as the {a}", "as {b} as {a}", "What <colour|color> is the {a}? <It is |>{b}.",
         "Look how {b} the {a} is!", "{a}: {b}", "The {a} here is {b}, as <you|everybody> can see.", "Children paint the {a} {b}.", "<I|We> saw the {b} {a}.", "The {a} is <so|very|deep|bright> {b}."]),
    "property": (pairs(
        "ice=cold; snow=cold; fire=hot; oven=hot; sugar=sweet; honey=sweet; vinegar=sour; stone=hard; rock=hard; feather=light; lead=heavy; anvil=heavy; rain=wet; desert=dry; snail=slow; tortoise=slow; "
        "knife=sharp; needle=sharp; razor=sharp; giant=tall; tower=tall; ant=small; mouse=small; sea=deep; night=dark; cave=dark; pillow=soft; silk=soft; steel=strong; ox=strong; lion=brave; fox=clever; "
        "thunder=loud; whale=big; elephant=big; glass=thin; hair=thin; hare=fast; cheetah=fast; lightning=fast"), "b",
        ["as {b} as {a}", "as {b} as <a|the> {a}", "{a} is usually {b}.", "The {a} <was|felt|seemed> <very |>{b}.", "Everybody knows how {b} <a |the |>{a} is.", "{b} like <a |>{a}", "How is <the |>{a}? <Very |>{b}."]),
    "sound": (pairs("dog=bark; cow=moo; lion=roar; bird=sing; wolf=howl; duck=quack; snake=hiss; bell=ring; bee=buzz; cat=purr; mouse=squeak; frog=croak; pig=grunt; thunder=roll; baby=cry"), "ab",
              ["A {a} can {b}.", "<I|We> heard the {a} {b}.", "What does a {a} do? It <can|will> {b}.", "The {a} began to {b}.", "{b} like a {a}", "Only a {a} would {b} like that."]),
    "tool": (pairs(
        "cut paper=scissors; cut bread=knife; eat soup=spoon; eat meat=fork; write a letter=pen; draw a picture=pencil; open a door=key; drive a nail=hammer; tell the time=watch; wake up early=clock; sweep the floor=broom; "
        "take a picture=camera; call a friend=phone; sleep well=bed; read at night=lamp; wash your hands=soap; bake a cake=oven; keep food cold=fridge; dig a hole=spade; chop wood=axe; cut a tree=saw; catch a fish=net; "
        "cross a river=boat; look at the stars=telescope; see small things=microscope; measure a table=ruler; sew a shirt=needle; comb your hair=comb; carry water=bucket; climb a wall=ladder; boil water=kettle; "
        "find the way=map; find north=compass; stay dry in the rain=umbrella; paint a wall=brush; weigh flour=scale; browse the web=computer"), "b",
        ["<You|We|People> <need|use|want|take> <a |the |>{b} to {a}.", "To {a}, <you|we|people> <need|use|take> <a |the |>{b}.", "With <a |the |>{b} you can {a}.", "<A |The |>{b} <is used|helps|serves> to {a}.",
         "What do you need to {a}? <A |>{b}.", "Without <a |the |>{b} <you|we> cannot {a}.", "{a}: {b}"]),
    "trade": (pairs(
        "teaches children=teacher; bakes bread=baker; flies planes=pilot; treats the sick=doctor; writes books=writer; paints pictures=painter; grows crops=farmer; plays music=musician; drives a taxi=driver; sings songs=singer; "
        "catches fish=fisherman; cooks meals=cook; pulls teeth=dentist; decides in court=judge; studies the stars=astronomer; leads an orchestra=conductor; builds houses=builder; designs buildings=architect; sells meat=butcher; "
        "cuts hair=barber; takes photographs=photographer; fights in a war=soldier; works in a mine=miner; looks after sheep=shepherd; serves food=waiter; writes poems=poet; dances on stage=dancer; plays a part=actor; "
        "rules a kingdom=king; steals things=thief; sails the sea=sailor; writes programs=programmer; studies the past=historian; nurses patients=nurse; defends people in court=lawyer"), "b",
        ["<A|The> {b} {a}.", "Someone who {a} is a {b}.", "<He|She> {a} <because|since> <he|she> is a {b}.", "<My uncle|My aunt|His brother|Her sister> {a}: a {b}.", "Who {a}? <A|The> {b}.", "The {b} {a} every day.", "{a}: {b}",
         "We call one who {a} a {b}.", "It is the {b} who {a}."]),
    "place": (pairs(
        "buy some bread=bakery; buy some fruit=market; buy a shirt=shop; buy some milk=store; borrow a book=library; see a doctor=hospital; catch a train=station; see a film=cinema; swim=pool; learn to read=school; pray=church; "
        "get some money=bank; look at paintings=museum; take a plane=airport; spend the night=hotel; have dinner=restaurant; buy medicine=pharmacy; see the lions=zoo; watch a play=theatre; take a ship=harbour; cook a meal=kitchen; "
        "take a bath=bathroom; wash the car=garage; sleep=bedroom; study law=university; play in the sand=beach; pick flowers=garden; see the judge=court; walk the dog=park; drink a beer=bar; send a letter=post"), "b",
        ["You can {a} <at|in> the {b}.", "If you want to {a}, go to the {b}.", "<They|We|People> {a} at the {b}.", "<I|We> <wanted|had> to {a}, so <I|we> went to the {b}.", "Where do you {a}? <At|In> the {b}.", "The {b} is <the place|where> to {a}.", "{a}: {b}"]),
    "meal": (pairs("morning=breakfast; noon=lunch; evening=dinner"), "ab", ["<In the|At> {a} <we|they|people> <eat|have> {b}.", "{b} is <eaten|served> in the {a}.", "The meal of the {a} is {b}."]),
    "liked": (judged("movie film book story show play song album concert meal food dinner hotel room trip party game service product restaurant", "good great excellent wonderful amazing fantastic brilliant beautiful perfect",
                     "loved liked enjoyed recommend"), "bbc", JUDGED),
    "disliked": (judged("movie film book story show play song album concert meal food dinner hotel room trip party game service product restaurant", "bad terrible awful horrible boring dull poor stupid disappointing",
                        "hated disliked regret"), "bbc", JUDGED),
}
GOOD, BAD = "good great excellent wonderful amazing fantastic brilliant beautiful perfect nice lovely", "bad terrible awful horrible boring dull poor stupid disappointing ugly wrong"
# (prompt, answers accepted)
HELD_OUT_PROMPTS = [
    ("The sky is [MASK].", "blue clear dark"), ("Grass is [MASK].", "green"), ("Snow is cold and [MASK].", "white wet soft"), ("The blood on the floor was [MASK].", "red"), ("She wore a dress as yellow as a [MASK].", "lemon banana sun"),
    ("Monday, [MASK], Wednesday.", "tuesday"), ("Thursday, [MASK], Saturday.", "friday"), ("The day after Friday is [MASK].", "saturday"), ("Tomorrow is Thursday, because today is [MASK].", "wednesday"),
    ("June, [MASK], August.", "july"), ("The month after April is [MASK].", "may"), ("one, two, [MASK], four, five", "three"), ("Winter, [MASK], summer.", "spring"), ("The [MASK] chapter comes after the first.", "second"),
    ("The movie was [MASK] and I hated it.", BAD), ("The movie was [MASK] and I loved it.", GOOD), ("The food in this place was [MASK]; we enjoyed every bite.", GOOD), ("A [MASK] book that I regret buying.", BAD),
    ("I [MASK] this film, it was awful.", "hated disliked regret hate"), ("I [MASK] this film, it was wonderful.", "loved liked enjoyed love like recommend"),
    ("She went to the [MASK] to buy some bread.", "bakery market shop store supermarket"), ("He borrowed the book from the [MASK].", "library"), ("The train leaves from the [MASK].", "station platform"),
    ("A [MASK] is a person who writes books.", "writer author novelist"), ("The [MASK] flew the plane to London.", "pilot"), ("The bread was made by the [MASK].", "baker"),
    ("Please hand me the [MASK], I want to cut this paper.", "scissors knife"), ("He looked at his [MASK] to see what time it was.", "watch clock"), ("The [MASK] barked at the postman.", "dog"),
    ("Water boils when it gets very [MASK].", "hot"), ("We eat breakfast in the [MASK].", "morning kitchen"), ("Ice is very [MASK].", "cold"),
    ("He plays the [MASK] in an orchestra.", "violin piano cello flute trumpet guitar harp drum oboe clarinet horn organ bass"), ("The heart pumps [MASK] through the body.", "blood"), ("PostgreSQL is a relational [MASK] system.", "database")]


def words():
    """Every word that is asked for: each has to be one piece of the vocabulary."""
    return {row["abc".index(slot)].lower() for rows, asked, _ in EVERYDAY.values() for row in rows for slot in asked} | {word for _, answers in HELD_OUT_PROMPTS for word in answers.split()}
