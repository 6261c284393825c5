/** Facts that every schoolbook has and a language model knows: what a context can contradict. Common knowledge, written for Winnow. */

export type Relation = 'capital' | 'author' | 'painter' | 'composer' | 'city';

export interface KnownFact {
  readonly relation: Relation;
  /** A country, a work, a building. */
  readonly subject: string;
  readonly value: string;
}

const pairs = (relation: Relation, text: string): readonly KnownFact[] =>
  text
    .trim()
    .split(/\s*[;\n]\s*/)
    .map((pair) => {
      const [subject, value] = pair.split(/\s*=\s*/);
      return { relation, subject: subject!, value: value! };
    });

export const KNOWN_FACTS: readonly KnownFact[] = [
  ...pairs(
    'capital',
    `
    France = Paris; Germany = Berlin; Italy = Rome; Spain = Madrid; Portugal = Lisbon; Greece = Athens; Austria = Vienna
    Hungary = Budapest; Poland = Warsaw; Norway = Oslo; Sweden = Stockholm; Finland = Helsinki; Denmark = Copenhagen
    Ireland = Dublin; Iceland = Reykjavik; Belgium = Brussels; Romania = Bucharest; Bulgaria = Sofia; Croatia = Zagreb
    Serbia = Belgrade; Turkey = Ankara; Egypt = Cairo; Morocco = Rabat; Kenya = Nairobi; Ethiopia = Addis Ababa; Ghana = Accra
    Senegal = Dakar; Iran = Tehran; Iraq = Baghdad; Japan = Tokyo; China = Beijing; South Korea = Seoul; Thailand = Bangkok
    Vietnam = Hanoi; the Philippines = Manila; Nepal = Kathmandu; Mongolia = Ulaanbaatar; Australia = Canberra
    New Zealand = Wellington; Canada = Ottawa; Cuba = Havana; Chile = Santiago; Argentina = Buenos Aires; Uruguay = Montevideo
    Colombia = Bogota; Venezuela = Caracas; Ecuador = Quito; Paraguay = Asuncion; Russia = Moscow; Estonia = Tallinn
    Lithuania = Vilnius; Scotland = Edinburgh; Wales = Cardiff; Jamaica = Kingston`,
  ),
  ...pairs(
    'author',
    `
    Hamlet = William Shakespeare; Don Quixote = Miguel de Cervantes; War and Peace = Leo Tolstoy
    Crime and Punishment = Fyodor Dostoevsky; Pride and Prejudice = Jane Austen; Oliver Twist = Charles Dickens
    Moby-Dick = Herman Melville; the Odyssey = Homer; the Divine Comedy = Dante Alighieri; Faust = Johann Wolfgang von Goethe
    Les Miserables = Victor Hugo; Madame Bovary = Gustave Flaubert; Frankenstein = Mary Shelley; Dracula = Bram Stoker
    Ulysses = James Joyce; The Metamorphosis = Franz Kafka; The Great Gatsby = Scott Fitzgerald
    Animal Farm = George Orwell; Jane Eyre = Charlotte Bronte; Wuthering Heights = Emily Bronte
    Robinson Crusoe = Daniel Defoe; Gulliver's Travels = Jonathan Swift; Treasure Island = Robert Louis Stevenson
    The Jungle Book = Rudyard Kipling; Tom Sawyer = Mark Twain; The Hobbit = John Tolkien; The Time Machine = Herbert George Wells
    The Cherry Orchard = Anton Chekhov; Peer Gynt = Henrik Ibsen; Candide = Voltaire; Little Women = Louisa May Alcott`,
  ),
  ...pairs(
    'painter',
    `
    the Mona Lisa = Leonardo da Vinci; The Starry Night = Vincent van Gogh; Guernica = Pablo Picasso; The Night Watch = Rembrandt
    Girl with a Pearl Earring = Johannes Vermeer; The Birth of Venus = Sandro Botticelli; The Scream = Edvard Munch
    The Persistence of Memory = Salvador Dali; Water Lilies = Claude Monet; The Kiss = Gustav Klimt
    Las Meninas = Diego Velazquez; American Gothic = Grant Wood; Liberty Leading the People = Eugene Delacroix
    The Garden of Earthly Delights = Hieronymus Bosch`,
  ),
  ...pairs(
    'composer',
    `
    The Magic Flute = Wolfgang Amadeus Mozart; The Four Seasons = Antonio Vivaldi; Swan Lake = Pyotr Tchaikovsky
    Carmen = Georges Bizet; Aida = Giuseppe Verdi; Tosca = Giacomo Puccini; the Messiah = George Frideric Handel
    Bolero = Maurice Ravel; The Planets = Gustav Holst; The Rite of Spring = Igor Stravinsky
    The Barber of Seville = Gioachino Rossini; The Flying Dutchman = Richard Wagner; The Blue Danube = Johann Strauss
    Finlandia = Jean Sibelius; Rhapsody in Blue = George Gershwin`,
  ),
  ...pairs(
    'city',
    `
    the Eiffel Tower = Paris; the Colosseum = Rome; Big Ben = London; the Brandenburg Gate = Berlin
    the Statue of Liberty = New York; the Golden Gate Bridge = San Francisco; the Sagrada Familia = Barcelona
    the Kremlin = Moscow; the Acropolis = Athens; the Blue Mosque = Istanbul; the Forbidden City = Beijing
    the Little Mermaid = Copenhagen; Charles Bridge = Prague; the Rialto Bridge = Venice; the Rijksmuseum = Amsterdam
    the Burj Khalifa = Dubai; the Opera House with the white sails = Sydney; the Atomium = Brussels`,
  ),
];

export interface RelationWording {
  readonly question: (subject: string) => string;
  /** The beginning of a sentence that the value ends. */
  readonly answer: (subject: string) => string;
  /** {S} is the subject, {V} the value. */
  readonly says: readonly string[];
  /** Sentences about a subject that say nothing of its value. */
  readonly colour: readonly string[];
}

const WORK_COLOUR = [
  '{S} has been praised and parodied more often than anyone can count.',
  'Schoolchildren meet {S} sooner or later.',
  'Scholars still argue about the meaning of {S}.',
  'Few people forget their first encounter with {S}.',
  'Early critics had little good to say of {S}.',
  'Cheap prints and copies made {S} known everywhere.',
  'Entire books have been written about {S}.',
];

export const RELATIONS: Readonly<Record<Relation, RelationWording>> = {
  capital: {
    question: (subject) => `What is the capital of ${subject}?`,
    answer: (subject) => `the capital of ${subject} is`,
    says: [
      'The capital of {S} is {V}.',
      'Parliament and ministries of {S} sit in {V}, the capital.',
      '{V} is the capital of {S}.',
      'Ambassadors to {S} live in {V}, its capital.',
      '{S} has {V} as its capital.',
      'As the capital of {S}, {V} receives many guests of state.',
    ],
    colour: [
      'Trains in {S} are usually on time.',
      'People in {S} are fond of long lunches.',
      'The flag of {S} is older than its railways.',
      'Winters in {S} vary a good deal from year to year.',
      'Visitors to {S} often remark on the light.',
      'Football is played in every village of {S}.',
      'The national museum of {S} is closed on Mondays.',
      'Postage stamps of {S} are sought by collectors.',
    ],
  },
  author: {
    question: (subject) => `Who wrote ${subject}?`,
    answer: (subject) => `${subject} was written by`,
    says: [
      '{S} was written by {V}.',
      'The author of {S} is {V}.',
      '{V} wrote {S}.',
      'It took {V} years to write {S}.',
      '{S} is the best known work of {V}.',
      'Every page of {S} shows the hand of its author, {V}.',
    ],
    colour: WORK_COLOUR,
  },
  painter: {
    question: (subject) => `Who painted ${subject}?`,
    answer: (subject) => `${subject} was painted by`,
    says: [
      '{S} was painted by {V}.',
      'The painter of {S} is {V}.',
      '{V} painted {S}.',
      '{S} left the studio of {V} after many changes.',
      'Every brush stroke of {S} is the work of {V}.',
    ],
    colour: WORK_COLOUR,
  },
  composer: {
    question: (subject) => `Who composed ${subject}?`,
    answer: (subject) => `${subject} was composed by`,
    says: [
      '{S} was composed by {V}.',
      'The composer of {S} is {V}.',
      '{V} composed {S}.',
      '{V} finished the score of {S} in great haste.',
      'The manuscript of {S} is in the hand of its composer, {V}.',
    ],
    colour: WORK_COLOUR,
  },
  city: {
    question: (subject) => `In which city is ${subject}?`,
    answer: (subject) => `${subject} is in`,
    says: [
      '{S} is in {V}.',
      'Whoever wants to see {S} must travel to {V}.',
      '{V} is home to {S}.',
      '{S} is the pride of the city of {V}.',
      'Guidebooks to {V} begin with {S}.',
    ],
    colour: [
      'Long lines form at {S} in summer.',
      'Repairs of {S} never seem to end.',
      'At dusk {S} is at its best.',
      'Painters have shown {S} from every side.',
      'Pigeons like {S} as much as visitors do.',
      'Small models of {S} are sold by the thousand.',
      'Guards keep watch over {S} at night.',
    ],
  },
};
