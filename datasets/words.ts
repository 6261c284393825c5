/**
 * Words from which needle keys are made (`brave-otter`): our own lists of common English words, no word in both.
 * Adding, removing or moving one changes every generated key, so the version of each task that draws keys must rise.
 */

const words = (text: string): readonly string[] => text.trim().split(/\s+/);

export const ADJECTIVES = words(`
able absent abstract abundant acoustic active actual agile airy alert alpine ample ancient angular annual antique apt arctic ardent
arid artful astute atomic austere autumnal avid awake aware azure baffled balanced balmy barren basic beloved bitter bland blank
blazing blissful blunt bold bony boundless brave breezy brief bright brisk brittle broad bronze bubbly bulky buoyant busy calm
candid capable careful casual cautious celestial central certain charming cheerful chief chilly chubby civic civil classic clean
clear clever cloudy coarse coastal colossal comic common compact complex concise constant content cool cordial cosmic cozy crafty
creamy crisp crooked crucial crystal curious curly current cyan daily damp dapper daring dazzling dear decent deep definite deft
delicate dense dependable devoted digital diligent dim direct discreet distant diverse divine dizzy dominant dormant double dreamy
dry durable dusty dutiful eager early earnest earthy easy eerie elastic elder elegant elated electric elfin eminent empty endless
enormous equal esteemed eternal even exact excited exotic expert express extra fabled faded faint fair faithful famous fancy
fearless feathered fertile festive fierce final fine firm fit fixed flaky flat flawless fleet flexible floral fluent fluffy foggy
fond formal fortunate fragile fragrant frank free fresh friendly frosty frugal fruity full fuzzy gallant general generous gentle
genuine giant gifted glad glassy gleaming global glossy golden good gorgeous graceful gracious grand grateful gravelly great green
grizzled handy happy hardy harmless hasty hazy healthy hearty heavy helpful hidden hollow holy homely honest hopeful huge humble
humid hushed icy ideal idle immense indigo inland inner intense ivory jagged jaunty jolly jovial joyful jumbo junior keen kind
knotty known large lasting lavish lazy leafy lean learned legal light likely lilac limber linear liquid lively local lofty lonely
long loose lovely loyal lucid lucky lunar lush magenta magnetic main majestic mammoth maroon massive mature meager meaty mellow
melodic merry mighty mild minor minty misty mobile modern modest moist molten mossy muddy mural musical muted mystic narrow native
natural nearby neat nervous neutral new nifty nimble noble nocturnal northern notable noted novel numb nutty oaken oblong oceanic
odd olive opaque open optimal orange orderly ornate outer oval pale partial past patient peaceful pearly peppery perfect perky
petite placid plain playful pleasant plucky plush poetic pointed polar polite popular precise pretty prickly prime private
prompt proper proud prudent pure purple quaint quick quiet quirky radiant rainy rapid rare ready real recent regal regular
relaxed remote restful rich rigid ripe robust rocky rosy rough round royal rugged rural rustic rusty safe salty sandy scarlet
scenic secure sedate serene serious shaded shady sharp sheer shiny short shy silent silky silver simple sincere skilled sleek
sleepy slender slim slow smart smooth snowy sober social soft solar solemn solid somber sonic sparkling sparse speedy spicy
spiral splendid spotted spry square stable stately steady steep stellar sterling stern sticky still stoic stormy stout striped
strong sturdy subtle sudden sugary sunny super supple sure surly sweet swift tall tame tangy tart tawny tender tepid terse thick
thorny thrifty tidal tidy timely tiny tranquil tricky trim tropical true trusty truthful turquoise twin unique upbeat upper upright
urban useful usual vacant valid vast velvety verdant vibrant vigilant violet virtual vital vivid vocal wakeful warm wary watchful
wavy wealthy weary weekly western wet whole wide willing windy winged wise wistful witty wooden woolly worthy young youthful zany
zealous zesty
`);

export const NOUNS = words(`
abbey acorn acre actor adder agenda alcove algae alley almond aloe alpaca altar amber amulet anchor ankle antelope anthem anvil
apple apricot apron aquarium arbor arcade arch archer arena armada armor arrow artist ash aspen atlas atrium attic auction author
avenue avocado axle badge badger bagel bakery balcony ballad balloon bamboo banana band banjo banner barge barley barn baron barrel
basil basin basket bass bassoon battery bay bazaar beach beacon bead beagle beak beam bean bear beaver beech beet beetle bell belt
bench berry bicycle birch bird biscuit bison blanket blossom boat bobcat bolt bonfire bonnet book boot border bottle boulder bowl
box bracelet braid branch bread brick bridge brook broom brush bubble bucket buckle buffalo bugle bunny burrow bush butter button
cabbage cabin cable cactus cake calf camel camera canal candle canoe canopy canvas canyon cape captain caravan carbon cardinal
cargo carnival carpet carriage carrot cart castle cathedral cave cavern cedar cellar cello ceramic chain chair chalk chamber
channel chapel chariot chart cheese cherry chess chestnut chimney cicada cider cinema circle circus citadel clam clarinet clay
cliff clock cloud clover coach coast cobbler cocoa coconut coffee coin comet compass condor cookie copper coral cord cork corn
corridor cottage cotton cougar counter courtyard cradle crane crater crayon creek crest cricket crocus crow crown cruise crumb
cucumber cup curator curtain cushion cypress daffodil dahlia daisy dam dancer dawn deck deer delta denim desert desk dewdrop
diamond diary dinner dish dock doctor dolphin dome donkey door dove dragon drawer dress drum duchess duck dune eagle earth easel
eclipse eel elbow elephant elk elm ember emblem emerald emperor engine envelope ermine estuary falcon farm farmer feast fence fern
ferry festival fiddle field fig finch fir fjord flag flame flamingo flask flint flock flood flour flower flute foal forest forge
fork fort fossil fountain fox frame freckle freight frog fruit galaxy gallery galley garden garlic garnet gate gazelle gecko gem
geyser ginger giraffe glacier glade glove goat goblet goose gorge grain granite grape grass grotto grove guitar gull gully habitat
hammer hammock hamster harbor hare harp harvest hat hawk hazel heart heath hedge helmet herald herb hermit heron hickory hill hinge
hive homestead honey hood hook horizon horn horse hotel hound house hut hyena iceberg igloo iguana inlet insect iris iron island
isle ivy jackal jacket jaguar jam jar jasmine jay jeep jewel jigsaw journal journey judge juice jungle juniper kangaroo kayak
kelp kernel kettle key kingdom kitchen kite kitten kiwi knight koala lagoon lake lamb lamp lantern larch lark lasso lattice laurel
lava lavender lawn leaf ledge lemon lens leopard letter lettuce library lichen lighthouse lily lime linen lion lizard llama lobster
locket locomotive lodge log loom lotus lynx lyric machine magnet magnolia magpie mallard mammal mango manor mansion map maple
marble market marmot marsh mask mast meadow melon mermaid mesa meteor mill mineral mint mirror mitten moat molecule monarch
monastery moon moose morning mosaic moss moth motor mountain mouse muffin mug mule museum mushroom music mustard narwhal nebula
necklace needle nest net newt nickel night nomad noodle notebook nougat novelist nugget nursery nutmeg oak oar oasis oat ocean
octopus office onion opal opera orbit orchard orchid organ oriole osprey ostrich otter outpost oven owl ox oyster paddle page
pagoda painter palace palm panda panther paper parade parasol parcel park parrot parsley parsnip pasta pasture path pavilion peach
peacock peak peanut pear pearl pebble pelican pen pencil penguin pepper petal pheasant piano pickle picnic pie pier pigeon pillar
pillow pilot pine pipe piper pistachio pitcher planet plank planter plateau platinum plaza plum pocket poem pond pony poplar
poppy porch porcupine portal portrait possum postcard potato potter prairie prince prism puffin pulley pumpkin puppet
puppy puzzle pyramid quail quarry quartz queen quill quilt quiver rabbit raccoon racket radar radio radish raft railway rainbow
raisin ranch ranger raven ravine razor reef relic ribbon rice ridge ring river robin robot rock rocket roof rooster root
rope rose rowboat ruby rudder saddle saffron sage sail sailor salad salmon salt sand sandal sapphire satchel saucer sauna savanna
scarf school scone scooter scroll sculptor seal seashell season seed shadow shark shawl sheep shelf shell shepherd shield ship
shore shovel shrimp shrub shuttle sickle signal silk singer sketch sky slate sled slipper sloth snail snow soap sofa soil song
soup spade sparrow spear sphinx spider spinach spire sponge spoon spring spruce squash squirrel stadium stag stair stallion
star starling station statue steam stencil stone stool stork storm stove straw stream street string studio sugar suitcase summit
sun sunset swallow swamp swan sweater sycamore syrup table tablet tailor tambourine tapestry tavern teacup teapot telescope temple
tent terrace theater thicket thimble thistle throne thrush thunder tide tiger timber toast tomato topaz torch tortoise totem toucan
towel tower town tractor trail train tram treasure tree trellis triangle trophy trout truck trumpet trunk tulip tundra tunnel turbine
turnip turtle tusk tutor twig typewriter umbrella unicorn utensil valley valve vanilla vase vault veil vessel vest viaduct village vine
vineyard viola violin visor volcano voyage wagon waiter walnut walrus wardrobe warbler waterfall wave wax weasel weaver wetland
whale wharf wheat wheel whisk whistle wicker widget willow window winter wolf wombat woodland wool workshop wren yacht yak yard yarn
yogurt zebra zephyr zinnia zipper
`);
