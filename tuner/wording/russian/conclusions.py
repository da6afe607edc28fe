"""Of conclusions.md, and of what `tuner conclude` says of a table that someone typed."""

from __future__ import annotations

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "Conclusions": "Выводы",
    # what they rest on
    "No {noun:1} has finished.": "Завершённых {noun:5} нет.",
    "No {noun:5}.": "Нет {noun:5}.",
    "{count} {noun:{count}}": "{count} {noun:{count}}",
    "One {noun:1}": "1 {noun:1}",
    "{count} finished. They were {chosen_by}, so what is said of settings is association, no effect; a grid or "
    "random search without halving can show effects.": (
        "Завершено: {count}. Они {chosen_by}, поэтому о настройках здесь говорится как о связи, а не об эффекте; "
        "эффекты может показать поиск по сетке или случайный поиск без отсева."
    ),
    "proposed by tpe from what earlier ones scored": "предложены tpe по результатам предыдущих",
    "stopped early by {scheduler} unless they did well": (
        "остановлены досрочно ({scheduler}), если не были среди лучших"
    ),
    " and ": " и ",
    "{count}: there is nothing to compare.": "{count}: сравнивать не с чем.",
    "{count}. Differences are means ± standard error{unit}; `shown` means that the 95 % interval leaves out 0. Of "
    "20 settings without effect, one is shown by chance.": (
        "{count}. Разности — это среднее ± стандартная ошибка{unit}; «подтверждено» значит, что 95 % интервал не "
        "содержит 0. Из 20 настроек без эффекта одна подтверждается случайно."
    ),
    ", in {unit}": ", в {unit}",
    "percent points": "процентных пунктах",
    ", taken to differ in nothing but their settings": "; считаем, что различаются они только настройками",
    ", each trained for the epochs it asks for": ", каждое обучалось столько эпох, сколько ему задано",
    " of equal fidelity": " с равным объёмом обучения",
    ", and {count} repeats of {of} of them": ", и {count} {count:повтор|повтора|повторов} для {of} из них",
    " All trials share one seed and the same {images} validation images: the luck of neither is in these intervals "
    "(`--repeats` with `--top` would show it).": (
        " У всех испытаний один seed и одна валидация ({images} {images:изображение|изображения|изображений}): "
        "связанный с ними разброс в эти интервалы не входит (его показал бы `--repeats` вместе с `--top`)."
    ),
    " All trials share one seed and the same {images} validation images: errors are at least what the repeats say "
    "of seeds, and the luck of the images is in them only where repeats redraw the split.": (
        " У всех испытаний один seed и одна валидация ({images} {images:изображение|изображения|изображений}): ошибки "
        "не меньше, чем разброс из-за seed по повторам, а разброс из-за изображений учтён в них, только если повторы "
        "пересоздают разбиение."
    ),
    # effects
    "{setting} of {within}": "{setting} у {within}",
    "the repeated trials": "повторённых испытаний",
    "{setting} {level}: {difference} against the mean of the others {over}: {verdict} ({interval} over the "
    "{levels} levels together)": (
        "{setting} {level}: {difference} относительно среднего остальных {over}: {verdict} ({interval} для всех "
        "{levels} {levels:уровня|уровней|уровней} вместе)"
    ),
    "over {count} groups of {noun:5} equal otherwise": (
        "по {count} {count:группе|группам|группам} одинаковых в остальном {noun:5}"
    ),
    "over {count} {noun:5} drawn at random": "по случайной выборке ({count} {noun:{count}})",
    "over {count} pairs": "по {count} {count:паре|парам|парам}",
    "over one pair of {count} {noun:5}": "по одной паре ({count} {noun:{count}})",
    "{levels}: {difference} over one pair, no interval: {verdict}": (
        "{levels}: {difference} по одной паре, без интервала: {verdict}"
    ),
    "{setting} {levels}, each against the mean of the others{over}: not shown; the largest difference is that of "
    "{level}: {difference} ({interval})": (
        "{setting} {levels}, каждый уровень относительно среднего остальных{over}: не подтверждено; наибольшая "
        "разность — у {level}: {difference} ({interval})"
    ),
    "{setting}: {count} levels in one group of {noun:5} equal otherwise, no interval; the largest difference, "
    "{levels}, is {difference}: {verdict}": (
        "{setting}: {count} {count:уровень|уровня|уровней} в одной группе одинаковых в остальном {noun:5}, без "
        "интервала; наибольшая разность, {levels}, равна {difference}: {verdict}"
    ),
    "; the best of more epochs can only be higher on validation": (
        "; лучшее из большего числа эпох на валидации может быть только выше"
    ),
    "; the best of more epochs can only be lower on validation": (
        "; лучшее из большего числа эпох на валидации может быть только ниже"
    ),
    "shown": "подтверждено",
    "not shown": "не подтверждено",
    "shown, better": "подтверждено, лучше",
    "shown, worse": "подтверждено, хуже",
    "not supported, since equal runs differ by {spread}": "не обосновано: разброс одинаковых запусков — {spread}",
    "{count} more lines on settings, of smaller differences, are left out": (
        "ещё {count} {count:строка|строки|строк} о настройках с меньшими разностями {count:опущена|опущены|опущено}"
    ),
    # associations
    "{setting}: association, n = {count}: ": "{setting}: связь, n = {count}: ",
    "{mean} with {level} ({count})": "{mean} при {level} ({count})",
    " and {count} more": " и ещё {count}",
    "mean {means}": "среднее {means}",
    "higher goes with better": "чем больше, тем лучше",
    "lower goes with better": "чем меньше, тем лучше",
    "rank correlation {correlation:+.2f}, {goes}": "ранговая корреляция {correlation:+.2f}, {goes}",
    # repeats
    "{count} repeats of {trial}": "{count} {count:повтор|повтора|повторов} {trial}",
    "{count} rows with {told}": "{count} {count:строка|строки|строк}, где {told}",
    "all {count} rows": "все строки ({count})",
    "{what} ({values}) differ by {spread} with {equal}{also}, so smaller differences are not supported by single "
    "runs": (
        "{what} ({values}): разброс {spread} {equal}{also}, поэтому отдельные запуски не обосновывают меньших различий"
    ),
    " (the largest spread of {count} such groups)": (
        ", наибольший из {count} {count:такой группы|таких групп|таких групп}"
    ),
    "every listed setting equal": "при одинаковых указанных настройках",
    "nothing but the seed (and the split, where redrawn) changed": (
        "при смене только seed (и разбиения, если оно пересоздавалось)"
    ),
    # what cannot be told
    "Nothing can be told of {settings}": "Ничего нельзя сказать о настройках: {settings}",
    "one level": "один уровень",
    "in no {noun:1}": "не встречается в {noun:prepositional}",
    "too few {noun:5} differ in it alone": "слишком мало {noun:5}, которые различаются только этим",
    "no two {noun:5} differ in it alone": "нет двух {noun:5}, которые различаются только этим",
    "one level among {noun:5} that were drawn": "один уровень среди случайно выбранных {noun:5}",
    "only {count} {noun:5} were drawn": "случайно выбрано всего {count} {noun:{count}}",
    "only {count} {noun:5}": "всего {count} {noun:{count}}",
    "the same value in all {count} {noun:5}": "везде одно и то же значение ({count} {noun:{count}})",
    # importances
    "Importance of the axes: none computed, {reason}": "Важность осей: не вычислена, {reason}",
    "fewer than {count} trials have finished": "завершено меньше {count} {count:испытания|испытаний|испытаний}",
    "all trials have the same value": "у всех испытаний одно и то же значение",
    "no axis made a difference": "ни одна ось ничего не изменила",
    "its space cannot be read: {mistake}": "пространство поиска не читается: {mistake}",
    "Importance of the axes ({method}, {count} finished trials): {shares}; {doubts}": (
        "Важность осей ({method}, {count} {count:завершённое испытание|завершённых испытания|завершённых испытаний}): "
        "{shares}; {doubts}"
    ),
    "shares have no interval": "у долей нет интервала",
    "beware, on fewer than {count} trials they are mostly noise": (
        "осторожно: при числе испытаний меньше {count} это в основном шум"
    ),
    "beware, some axes exist only beside certain values of others, so shares are hard to compare": (
        "осторожно: часть осей существует только при некоторых значениях других, поэтому доли трудно сравнивать"
    ),
    # how the trials went
    "Overfitting: in {count} of {trials} trials validation loss rises after epoch {epoch:g} (median) while "
    "training loss goes on falling": (
        "Переобучение: в {count} из {trials} {trials:испытания|испытаний|испытаний} loss на валидации растёт после "
        "эпохи {epoch:g} (медиана), а на обучении продолжает падать"
    ),
    "; fewer epochs would do": "; хватило бы меньшего числа эпох",
    ", though {metric} is best only at epoch {epoch:g} (median)": (
        ", хотя лучшее значение {metric} — лишь на эпохе {epoch:g} (медиана)"
    ),
    "{count} of {trials} trials that trained for all their epochs were best at the last one: more epochs may help": (
        "У {count} из {trials} {trials:испытания, прошедшего|испытаний, прошедших|испытаний, прошедших} все свои "
        "эпохи, лучшей была последняя: может помочь больше эпох"
    ),
    "{count} of {trials} trials that trained for all their epochs were best in the first half of them: fewer "
    "epochs would do": (
        "У {count} из {trials} {trials:испытания, прошедшего|испытаний, прошедших|испытаний, прошедших} все свои "
        "эпохи, лучшая эпоха — в первой половине: хватило бы меньшего числа эпох"
    ),
    "Test minus validation: {mean:+.3f} on average over {trials} trials scored on test, no interval": (
        "Тест минус валидация: {mean:+.3f} в среднем по {trials} {trials:испытанию|испытаниям|испытаниям} с оценкой на "
        "тесте, без интервала"
    ),
    "Test agrees with validation in {count} of {trials} trials scored on it": (
        "Тест согласуется с валидацией у {count} из {trials} {trials:испытания|испытаний|испытаний} с оценкой на тесте"
    ),
    ": its {metric} lies in the 95 % interval of validation": ": {metric} на тесте лежит в 95 % интервале валидации",
    "; outside the 95 % interval of validation: {trials}": "; вне 95 % интервала валидации: {trials}",
    "{trial} {test:.3f} on test, {val:.3f} [{low:.3f}, {high:.3f}] on validation": (
        "{trial} {test:.3f} на тесте, {val:.3f} [{low:.3f}, {high:.3f}] на валидации"
    ),
    "Of {count} trials": "Из {count} {count:испытания|испытаний|испытаний}",
    "Of one trial": "Из одного испытания",
    "{count} trained for all their epochs": "{count} {count:прошло|прошли|прошли} все свои эпохи",
    "{count} ended by patience": "{count} {count:завершено|завершены|завершены} по patience",
    "{count} stopped early for doing worse than others": (
        "{count} {count:остановлено|остановлены|остановлены} досрочно как худшие"
    ),
    "{count} paused early for doing worse than others": (
        "{count} {count:приостановлено|приостановлены|приостановлены} досрочно как худшие"
    ),
    "{count} diverged": "{count} {count:разошлось|разошлись|разошлись}",
    "{count} failed": "{count} {count:завершилось|завершились|завершились} ошибкой",
    "{count} lost": "{count} {count:потеряно|потеряны|потеряны}",
    "{count} running": "{count} {count:идёт|идут|идут}",
    "{count} paused": "{count} {count:приостановлено|приостановлены|приостановлены}",
    "{count} waiting": "{count} {count:ждёт|ждут|ждут}",
    # how a table was read
    "How the columns were read:": "Как прочитаны столбцы:",
    "(no name)": "(без имени)",
    "objective": "цель",
    "metric": "метрика",
    "setting": "настройка",
    "ignored": "не используется",
    ", in percent": ", в процентах",
    "as asked": "по просьбе",
    "not the objective; --metric chooses it": "не цель; её выбирает --metric",
    "rows that differ in nothing else are repeats": "строки, которые больше ничем не различаются, — повторы",
    "by its name it says which run, not how it was run": (
        "судя по имени, говорит о том, какой это запуск, а не как он сделан"
    ),
    "by its name it came out of the run": "судя по имени, это итог запуска",
    "it numbers the rows": "нумерует строки",
    "the same in all rows: {level}": "одно и то же во всех строках: {level}",
    "row {number}: {cell!r}": "строка {number}: {cell!r}",
    "Left out, since the objective is no number: {rows}.": "Пропущены, так как цель не число: {rows}.",
}
