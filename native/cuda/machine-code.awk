# What the attention kernels compiled to, from `cuobjdump -sass`: one JSON line a check, exit code 1 if one fails.
#
# - as many matrix products as the shape of the kernel says, no more (a loop unrolled twice) and no fewer (one folded away);
# - copies by tensor map where pages or boxes are read, register allotment in prefill, no local memory;
# - in loops that overlap, all exponentials before the wait for the values (gsb0, 0x0): the compiler likes to hoist it above
#   them, which undoes the overlap without a warning.
/Function :/ { name = $3; state = 0; listings[name]++ }
/HMMA/ { portable[name]++ }
/HGMMA/ { matrix[name]++; if (state == 2) state = 3 }
/UTMALDG/ { copies[name]++ }
/USETMAXREG/ { allotments[name]++ }
/STL|LDL/ { if (name ~ /prefill_|decode_attention_kernel|linear_wide/) spilt++ }
/DEPBAR.LE gsb0, 0x1/ { if (name ~ /Prefill(Union)?Config/) { state = 1; overlapped[name] = 1 } }
/MUFU.EX2/ { if (state == 1) before[name]++; else if (state == 2) after[name]++ }
/DEPBAR.LE gsb0, 0x0/ { if (state == 1) state = 2 }

# Numbers of the template that begins at `mark`, into `n`.
function numbers(text, mark, n) {
  text = substr(text, index(text, mark) + length(mark))
  gsub(/[^0-9]+/, " ", text)
  return split(text, n, " ")
}
function report(check, passed, detail) {
  printf "{\"check\":\"%s\",\"status\":\"%s\",\"detail\":\"%s\"}\n", check, passed ? "ok" : "failed", detail
  if (!passed) failed = 1
}
END {
  for (name in matrix) {
    wanted = tma = allotted = -1
    if (name ~ /PrefillConfigILi/) {
      numbers(name, "PrefillConfigILi", n)  # head_dim, groups, block, stages, overlap
      wanted = (n[1] + n[3]) / 16 * (1 + n[5]); tma = 3; allotted = 2
    } else if (name ~ /PrefillUnionConfigILi/) {
      numbers(name, "PrefillUnionConfigILi", n)  # head_dim, block, stages: two groups, overlapped
      wanted = (n[1] + n[2]) / 8; tma = 3; allotted = 2
    } else if (name ~ /WideConfigILi/) {
      wanted = 4; tma = 4  # a step of 64 columns; weights and tokens, before and in the loop
    } else if (name ~ /DecodeConfigILi/) {
      numbers(name, "DecodeConfigILi", n)  # head_dim, heads, gather
      wanted = n[1] / 8; tma = n[3] == 1 ? 0 : 1
    }
    if (wanted < 0) { strange = strange " " name; continue }
    kernels++
    if (matrix[name] != wanted) miscounted = miscounted " " name ":" matrix[name] "/" wanted
    if (copies[name] + 0 < tma) bare = bare " " name
    if (allotted >= 0 && allotments[name] + 0 != allotted) unallotted = unallotted " " name
  }
  for (name in overlapped) {
    loops++
    if (before[name] < 34 || after[name] > 0) undone = undone " " name
  }
  report("Hopper kernels have the products of their shapes", kernels >= 19 && miscounted == "" && strange == "", kernels + 0 " kernels" miscounted strange)
  # One listing for each device that it is compiled for. Twice as many: a condition that differs by lane went around products.
  for (name in listings) {
    if (name !~ /PortableConfigILi/) continue
    numbers(name, "PortableConfigILi", n)  # head_dim, tiles of a warp
    portables++
    if (portable[name] != n[1] * n[2] * listings[name]) odd = odd " " name ":" portable[name] + 0
  }
  report("the portable prefill has the products of its shapes", portables >= 8 && odd == "", portables + 0 " kernels" odd)
  report("Hopper kernels load by TMA", kernels > 0 && bare == "", "without UTMALDG:" (bare == "" ? " none" : bare))
  report("prefill kernels share out registers", unallotted == "", "without USETMAXREG twice:" (unallotted == "" ? " none" : unallotted))
  report("overlapped loops keep their overlap", loops >= 5 && undone == "", loops + 0 " loops, undone:" (undone == "" ? " none" : undone))
  report("no local memory in the kernels looked at", spilt + 0 == 0, spilt + 0 " accesses")
  exit failed
}
