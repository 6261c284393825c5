/** Names of people and cities for generated worlds. No first name is a surname, no name holds another, and none occurs in the prose. */

const names = (text: string): readonly string[] => text.trim().split(/\s*\n\s*|,\s*/);

export const FIRST_NAMES = names(`
Adele, Agnes, Albert, Alfred, Alice, Amelia, Andrew, Anton, Arthur, Audrey, Barbara, Beatrice, Benjamin, Bernard, Bridget, Caroline,
Cecil, Charlotte, Clara, Conrad, Cora, Daniel, Deborah, Dennis, Dorothy, Edith, Edmund, Eleanor, Elias, Emil, Esther, Eugene, Felix,
Flora, Frances, Frederick, Gabriel, George, Gerald, Gloria, Hannah, Harold, Harriet, Helen, Henry, Hugo, Ingrid, Irene, Isaac, Ivan,
Jacob, Judith, Julian, Katherine, Kenneth, Laura, Leonard, Lillian, Louise, Lucas, Magnus, Malcolm, Marcus, Margaret, Martha, Matilda,
Maurice, Miriam, Nathan, Nora, Norman, Oliver, Oscar, Pamela, Patrick, Paula, Philip, Rachel, Raymond, Rebecca, Robert, Rosalind,
Rupert, Samuel, Sebastian, Simon, Sophia, Stella, Susan, Sylvia, Theodore, Thomas, Ursula, Valerie, Vera, Victor, Vincent, Walter,
Winifred, Yvonne
`);

export const SURNAMES = names(`
Abbott, Ackerman, Aldridge, Ashworth, Atkins, Bancroft, Barlow, Becker, Bellamy, Blackwood, Bradshaw, Brandt, Brennan, Calloway,
Carmichael, Carver, Chandler, Clifford, Connolly, Crawford, Dalton, Davenport, Delaney, Donovan, Drummond, Eastman, Eklund,
Fairbanks, Fenwick, Fischer, Fletcher, Forsyth, Gallagher, Gibbons, Goodwin, Granger, Griffith, Halloran, Hampton, Hargrove, Hawkins,
Hendricks, Holloway, Huxley, Ingram, Johansson, Jennings, Keating, Kessler, Kirkland, Langford, Larsen, Lindqvist, Lockhart, Maddox,
Marlowe, McAllister, Merriweather, Mitchell, Montague, Moreau, Nielsen, Norwood, Oakley, Osborne, Palmer, Pemberton, Prescott, Quigley,
Radcliffe, Ramsey, Redmond, Rosenthal, Rutherford, Sanderson, Sheffield, Sinclair, Stanhope, Sutherland, Tanaka, Thornton, Tillman,
Underhill, Vanderberg, Wakefield, Wallace, Wentworth, Whitaker, Winslow, Woodruff, Yamada, Zimmerman
`);

export const CITIES = names(`
Accra, Amsterdam, Athens, Auckland, Baghdad, Bangkok, Barcelona, Belgrade, Berlin, Bogota, Boston, Brussels, Budapest, Cairo, Calgary,
Caracas, Casablanca, Chicago, Copenhagen, Dakar, Dallas, Damascus, Denver, Detroit, Dublin, Dubai, Edinburgh, Florence, Frankfurt,
Geneva, Glasgow, Hamburg, Hanoi, Havana, Helsinki, Istanbul, Jakarta, Jerusalem, Kabul, Karachi, Kiev, Lagos, Lima, Lisbon, Liverpool,
London, Madrid, Manila, Melbourne, Miami, Milan, Minsk, Montreal, Moscow, Mumbai, Munich, Nairobi, Naples, Oslo, Ottawa, Paris, Prague,
Quito, Reykjavik, Rome, Rotterdam, Salzburg, Santiago, Seattle, Seoul, Shanghai, Singapore, Sofia, Stockholm, Sydney, Tehran, Tokyo,
Toronto, Tunis, Vancouver, Venice, Vienna, Warsaw, Wellington, Zagreb, Zurich
`);
