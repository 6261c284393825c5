# CUDA's own syntax into calls that a C++ compiler knows.
s/extern __shared__ (__align__\([0-9]+\) )?char ([a-z_]+)\[\];/char* \2 = winnow::emulate::dynamic_shared();/
s/__shared__ /static /
s/([A-Za-z_][A-Za-z_0-9]*(<[^<>]*>)?)<<</winnow::emulate::launching(\1, /g
s/>>>\(/)(/g
