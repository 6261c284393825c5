/**
 * How the documents of the generated world say a fact: several ways each, so that no wording gives a fact away.
 * {S} is the subject, in full or in short; {V} the value; {K} what the subject is (a museum, a painter, a festival).
 */
import type { FactKind } from './world.js';

const ways = (text: string): readonly string[] =>
  text
    .trim()
    .split('\n')
    .map((line) => line.trim());

export const PHRASES: Readonly<Record<FactKind, readonly string[]>> = {
  profession: ways(`
    {S} made a living as {A} {V}.
    By trade {S} was {A} {V}.
    Most people knew {S} as {A} {V}.
    {S} had trained for years to become {A} {V}.
    Letters of the time call {S} {A} {V}.
    {S}, {A} {V}, kept a small workshop at home.
    Nobody doubted that {S} was first of all {A} {V}.
    {S} never wanted to be anything but {A} {V}.`),
  birthYear: ways(`
    {S} was born in {V}.
    The church book puts the birth of {S} in {V}.
    {S} came into the world in {V}, in a hard winter.
    It was in {V} that {S} was born.
    The year {V} is given on the birth certificate of {S}.
    According to the family, {S} was born in the spring of {V}.
    {V} was the year in which {S} was born.
    Records of the time give {V} as the year of birth of {S}.`),
  birthTown: ways(`
    {S} was born in {V}.
    The birthplace of {S} is {V}.
    {S} spent the first years in {V}, the town of birth.
    {S} came from {V}, as the accent showed.
    A plaque in {V} marks the house where {S} was born.
    {V} is the town in which {S} was born.
    The family of {S} lived in {V} when the child was born.
    {S} liked to say that being born in {V} explained everything.`),
  mentor: ways(`
    {S} learned the craft from {V}, a strict mentor.
    The mentor of {S} was {V}.
    {V} took {S} on as a pupil and stayed a mentor for life.
    Without the help of {V}, who was the mentor of {S}, little would have come of it.
    {S} named {V} as the only mentor worth mentioning.
    For eleven years {V} was mentor to {S}.
    {S} owed much to a mentor, {V}.
    When asked about a mentor, {S} spoke of {V}.`),
  employer: ways(`
    {S} worked for {V}.
    The payroll of {V} lists {S}.
    {S} found a post with {V} and kept it.
    {V} employed {S} for many years.
    Every morning {S} went to work at {V}.
    {S} turned down other offers and stayed with {V}, the only employer.
    The employer of {S} was {V}.
    {S} was hired by {V} after a long talk.`),
  kind: ways(`
    {S} is {A} {V}.
    What visitors find at {S} is {A} {V}.
    {S} began as a shop and is now {A} {V}.
    Registered as {A} {V}, {S} pays no tax on its building.
    As {A} {V}, {S} has few rivals in the region.
    The charter says that {S} shall be {A} {V}.
    {S} has always been {A} {V}, whatever the sign says.`),
  founded: ways(`
    {S} was founded in {V}.
    The founding year of {S} is {V}.
    Since {V}, when {S} was founded, much has changed.
    {S} dates from {V}.
    A stone over the gate gives {V} as the year when {S} was founded.
    It was {V} when {S} was founded, with little money.
    {S} goes back to the year {V}.
    In {V} a handful of people founded {S}.`),
  founder: ways(`
    {S} was founded by {V}.
    The founder of {S} was {V}.
    {V} founded {S} with borrowed money.
    It was {V} who founded {S}.
    A portrait of {V}, the founder, hangs in {S}.
    {S} would not exist without its founder, {V}.
    {V} is remembered as the founder of {S}.
    The deed names {V} as the founder of {S}.`),
  director: ways(`
    {S} is run by {V}.
    The director of {S} is {V}.
    {V} has been the director of {S} for some time.
    Decisions at {S} are made by its director, {V}.
    {V} directs {S}.
    As director, {V} has changed much at {S}.
    {S} chose {V} as its director.
    The post of director of {S} went to {V}.`),
  seat: ways(`
    {S} has its seat in {V}.
    {S} is based in {V}.
    The halls of {S} stand in {V}.
    Anyone who wants to see {S} must travel to {V}.
    {S} never moved away from {V}.
    {V} is home to {S}.
    The address of {S} is in {V}, close to the station.
    In {V}, {S} fills a whole block.`),
  river: ways(`
    {S} lies on the {V}.
    The river {V} runs through {S}.
    Bridges over the {V} link the two halves of {S}.
    Floods of the {V} have reached {S} more than once.
    {S} grew where a ford crossed the {V}.
    The old mills of {S} took their water from the {V}.
    In {S} the {V} is wide enough for barges.
    Boats come up the {V} as far as {S}.`),
  mayor: ways(`
    {S} elected {V} as its mayor.
    The mayor of {S} is {V}.
    {V} serves as mayor of {S}.
    In {S} the office of mayor is held by {V}.
    Voters in {S} wanted {V} as mayor.
    {V} became mayor of {S} by a few votes.
    The town hall of {S} has {V} as its mayor.
    As mayor of {S}, {V} signs every permit.`),
  inhabitants: ways(`
    {S} has {V} inhabitants.
    At the last count {V} people lived in {S}.
    {V} people call {S} their home.
    The population of {S} is {V}.
    The census gives {S} {V} inhabitants.
    {S} counts {V} inhabitants, most of them in the old quarter.
    With {V} inhabitants, {S} is neither large nor small.`),
  year: ways(`
    {S} took place in {V}.
    It was in {V} that {S} took place.
    Posters for {S} give the year {V}.
    {S} is remembered as the great affair of {V}.
    Nobody who was there in {V} forgot {S}.
    The year of {S} was {V}.
    {S} fell into the summer of {V}.
    In {V} the papers wrote of nothing but {S}.`),
  place: ways(`
    {S} was held in {V}.
    The town that hosted {S} was {V}.
    {V} was chosen as the place for {S}.
    Guests of {S} filled every inn in {V}.
    For {S}, streets in {V} were closed.
    {S} came to {V} after much debate.
    {V} hosted {S}.
    The meadow in {V} where {S} was held is still shown.`),
  leader: ways(`
    {S} was led by {V}.
    The leader of {S} was {V}.
    {V} led {S} from the first day to the last.
    At the head of {S} stood {V}, its leader.
    {S} had {V} as its leader.
    It fell to {V} to lead {S}.
    Nobody but {V} could have led {S}.
    As its leader, {V} opened {S} with a short speech.`),
  organiser: ways(`
    {S} was organised by {V}.
    The organiser of {S} was {V}.
    {V} organised {S} and paid for it.
    Behind {S} stood {V} as its organiser.
    The money for {S} came from its organiser, {V}.
    {V} acted as the organiser of {S}.
    It was {V} that organised {S}.`),
};

/** Said of nobody in particular: these carry no fact, and keep facts apart. {S} as above. */
export const COLOUR: Readonly<Record<'person' | 'organisation' | 'town' | 'event', readonly string[]>> = {
  person: ways(`
    Few photographs of {S} survive, and none shows a smile.
    Neighbours remembered {S} as patient and a little absent-minded.
    {S} wrote long letters and answered every one.
    Friends of {S} told the story with small changes each time.
    On Sundays {S} walked for hours, whatever the weather.
    What {S} thought of fame is not known.
    {S} collected maps and lent them to nobody.
    The voice of {S} was said to carry across a market square.
    {S} kept every receipt and threw away every photograph.
    A cousin of {S} later wrote a short memoir.
    The handwriting of {S} is hard to read.
    Visitors found {S} in good spirits until the very end.
    {S} spoke three languages, one of them badly.
    Long after, {S} was still talked about in the cafes.
    {S} could not swim and never learned.`),
  organisation: ways(`
    Schoolchildren visit {S} on rainy days.
    The archive of {S} fills two cellars.
    Twice a fire nearly ended {S}.
    {S} publishes a yearly report that few people read.
    The staff of {S} eat lunch at one long table.
    Old members of {S} still meet in winter.
    A bell at {S} is rung at noon.
    The rules of {S} have been changed only once.
    {S} keeps a cat, as it always has.
    Rent at {S} is paid in advance.
    A clock at {S} has been wrong for years.
    Apprentices at {S} are paid by the week.
    Even in lean years {S} closed for no more than a day.
    {S} sends its guests home with a small gift.
    The lamps of {S} burn late on Thursdays.`),
  town: ways(`
    Travellers reach {S} by a slow train.
    The market of {S} opens before dawn.
    {S} is known for its narrow lanes and loud gulls.
    From the hill above {S} the whole plain can be seen.
    Builders in {S} prefer brick to stone.
    The bakery of {S} sells out by nine.
    In winter fog hides {S} for days.
    Children in {S} learn to swim early.
    A poet once called {S} the quietest place on earth.
    Two roads and a footpath lead out of {S}.
    The fire brigade of {S} is made up of volunteers.
    {S} holds its fairs on the green.
    Everybody in {S} seems to own a bicycle.
    Old maps spell {S} in four ways.
    Storks nest on the chimneys of {S}.`),
  event: ways(`
    Rain fell on the first evening of {S}.
    A brass band played at {S} until the lamps went out.
    Souvenirs of {S} turn up at flea markets.
    Reports on {S} agree on little but the crowd.
    {S} ended a day later than planned.
    A song about {S} was popular for one season.
    The accounts of {S} were never quite balanced.
    Strangers became friends at {S}.
    Tickets for {S} were sold out in a morning.
    The weather spared {S} until the last hour.
    A lost glove from {S} was never claimed.
    Painted banners for {S} hung from every window.
    {S} was spoken of for years in the schools.
    Food at {S} was plain but plentiful.
    Somebody kept a diary of {S}, now lost.`),
};
