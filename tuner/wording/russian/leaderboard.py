"""Of leaderboard.md: its table, footnotes, what reruns and references say, the audit, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    # the table
    "higher is better": "больше — лучше",
    "lower is better": "меньше — лучше",
    "{shown} of {all} trials are shown.": "Показано {shown} из {all} {all:испытания|испытаний|испытаний}.",
    "epochs (best/run)": "эпохи (лучшая/всего)",
    "{metric} (vs baseline)": "{metric} (к базовому)",
    "{what} (baseline)": "{what} (базовое)",
    "test {metric}": "{metric} на тесте",
    "repeats": "повторы",
    "latency ms": "задержка, мс",
    # how ranks are to be read
    "No trial has finished, so none is ranked.": "Ни одно испытание не завершено, поэтому мест пока нет.",
    "Ranked by value alone: {why}; nothing is told apart.": (
        "Места — только по значению метрики: {why}; какие различия не случайны, сказать нельзя."
    ),
    "only {images}, too few for intervals": "всего {images}, для интервалов этого слишком мало",
    "{metric} is a plugin's metric, which cannot be resampled": (
        "{metric} — метрика из плагина, бутстреп для неё невозможен"
    ),
    "there are no validation predictions that give the values, so there are no intervals": (
        "нет предсказаний на валидации, которые дают эти значения, поэтому нет и интервалов"
    ),
    "{count} validation images": "{count} {count:изображение|изображения|изображений} валидации",
    "{count} test images": "{count} {count:изображение|изображения|изображений} теста",
    " ({count} groups, drawn whole)": " в {count} {count:группе|группах|группах}, которые берутся целиком",
    "{trial} has the best value, but by the mean of its repeats it is of rank {rank}: {better} significantly better.": (
        "У {trial} лучшее значение, но по среднему повторов это место {rank}: значимо лучше — {better} "
        "{better:испытание|испытания|испытаний}."
    ),
    "{trial} stands alone: it is significantly better than every other finished trial.": (
        "{trial} — единоличный лидер: значимо лучше любого другого завершённого испытания."
    ),
    "Rank: 1 + the number of trials that are significantly better on the same images (5 %, corrected for many "
    "comparisons). Intervals: 95 % bootstrap over {images}; those of trials that were selected by these images are "
    "on the selection set, optimistic. {seeds}": (
        "Место (rank): 1 + число испытаний, которые значимо лучше на тех же изображениях (5 %, с поправкой на "
        "множественные сравнения). Интервалы: 95 %, бутстреп ({images}); для испытаний, выбранных по этим же "
        "изображениям, они оптимистичны. {seeds}"
    ),
    "Ranked by value alone, since there are no validation predictions that give it: {trials}.": (
        "Место — только по значению метрики, так как нет предсказаний на валидации, которые его дают: {trials}."
    ),
    "{millions:.1f} M parameters": "{millions:.1f} млн параметров",
    "{speed:.0f} images/s": "{speed:.0f} изобр./с",
    "Tied for the first place (`1=`): {trials}; the cheapest of them is {cheapest}{cost}.": (
        "Первое место делят (`1=`): {trials}; из них дешевле всего {cheapest}{cost}."
    ),
    "Ranks count the luck of the seed, as repeats show it, and go by the mean of the repeats where there are some; "
    "intervals do not.": (
        "Места учитывают разброс из-за seed, каким его показывают повторы, и считаются по среднему повторов, если они "
        "есть; интервалы его не учитывают."
    ),
    "The luck of the seed is in neither: no config has two finished repeats on this split.": (
        "Разброс из-за seed не учтён ни в местах, ни в интервалах: ни у одной конфигурации нет двух завершённых "
        "повторов на этом разбиении."
    ),
    "The luck of the seed is in neither: `--repeats` would show it.": (
        "Разброс из-за seed не учтён ни в местах, ни в интервалах: его показал бы `--repeats`."
    ),
    "† Above the best finished trial {best} but not ranked, because only finished trials (complete or "
    "early_stopped) are: {trials}.": (
        "† Выше лучшего завершённого испытания {best}, но без места, так как место есть только у завершённых (complete "
        "или early_stopped): {trials}."
    ),
    "✓ under pareto: no other finished trial is at least as good and as fast, and better in one of the two "
    "(latency of {basis}).": (
        "✓ в столбце pareto: нет другого завершённого испытания, которое было бы лучше по качеству или по скорости, не "
        "уступая в другом (задержка: {basis})."
    ),
    "one image on {device}": "одно изображение, {device}",
    ", {count} {count:thread|threads}": ", {count} {count:поток|потока|потоков}",
    # what is missing, and what was done otherwise
    "The search stopped": "Поиск остановлен",
    "The search failed": "Поиск прерван ошибкой",
    "interrupted": "прерван",
    "interrupted twice": "прерван дважды",
    "stopped by `tuner stop`": "командой `tuner stop`",
    "aborted where a tracker shows it": "из трекера",
    "its process is gone": "его процесса больше нет",
    "{done} of {asked} trials {done:is|are} done": "завершено {done} из {asked} {asked:испытания|испытаний|испытаний}",
    "{done} of {begun} reruns begun {done:is|are} done": (
        "завершено {done} из {begun} {begun:начатого перезапуска|начатых перезапусков|начатых перезапусков}"
    ),
    "references and test scores are missing": "нет опорных моделей и оценок на тесте",
    "references are missing": "нет опорных моделей",
    "test scores are missing": "нет оценок на тесте",
    "Begun with what did well in an earlier search: {trials}.": "Взяты из прежнего поиска как удачные: {trials}.",
    "{trial} ({epochs} from the end of {parent})": "{trial} ({epochs} после конца {parent})",
    "More epochs, with a schedule of their own, than the other trials have: {trials}.": (
        "Больше эпох, чем у других испытаний, и своё расписание lr: {trials}."
    ),
    "{trials} at {rung}": "{trials} — {rung}",
    "Paused where others did better, with their state kept so that they can go on: {where}.": (
        "Приостановлены там, где другие были лучше; состояние сохранено, и их можно продолжить: {where}."
    ),
    "‡ Halted at a rung, then drawn at random and trained to the end to see whether halting it was right: {trials}.": (
        "‡ Остановлены на ступени, затем случайно выбраны и дообучены до конца, чтобы проверить, верно ли их "
        "остановили: {trials}."
    ),
    "Trials that could not go on:": "Испытания, которые не удалось продолжить:",
    "{part} of {batch} images at a time, since more ran out of memory": (
        "по {part} из {batch} изображений за раз: на большее не хватило памяти"
    ),
    "; BatchNorm learns from so many at once, so this is another config than was asked for": (
        "; BatchNorm учится сразу по стольким, поэтому это не та конфигурация, что была задана"
    ),
    "; gradients add up to those of the whole batch, so only memory changed": (
        "; градиенты складываются в градиент всего батча, поэтому изменился только расход памяти"
    ),
    "Left out of macro means, having no positive image in a split: {count} ({labels}).": (
        "Не входят в макроусреднение, так как в одной из выборок нет ни одного положительного примера: {count} "
        "({labels})."
    ),
    "the search": "поиск",
    "the baseline beside the best": "базовое испытание рядом с лучшими",
    "On the web: {links}.": "В трекере: {links}.",
    # was it worth it
    "Was the search worth it?": "Окупился ли поиск?",
    "{trial} minus": "{trial} минус",
    "validation": "валидация",
    "test": "тест",
    "On validation {best} is {verdicts}.": "На валидации {best} {verdicts}.",
    "On test {best} is {verdicts}.": "На тесте {best} {verdicts}.",
    "better than {rivals}": "лучше, чем {rivals}",
    "worse than {rivals}": "хуже, чем {rivals}",
    "not told apart from {rivals}": "значимо не отличается от {rivals}",
    "{most} and {last}": "{most} и {last}",
    "In {metric}; 95 % intervals, paired on {images}{chosen}. They are of these single runs: the luck of the seed "
    "is not in them.": (
        "Разности {metric}; 95 % интервалы по парному бутстрепу: {images}{chosen}. Интервалы относятся к этим "
        "отдельным запускам: разброс из-за seed в них не входит."
    ),
    "; on validation {trial} was chosen, which flatters it": (
        "; на валидации {trial} было выбрано, что завышает его оценку"
    ),
    # reruns
    "The same configs again": "Те же конфигурации ещё раз",
    "again": "что менялось",
    "{metric}: mean ± sd (runs)": "{metric}: среднее ± ст. откл. (запусков)",
    "each": "по отдельности",
    "Runs of their own, without the one that the config was chosen by; sd is that of a single run. Other splits "
    "and folds also tell of the luck of the split.": (
        "Отдельные запуски без того, по которому выбрана конфигурация; стандартное отклонение — для одного запуска. "
        "Другие разбиения и фолды показывают ещё и разброс из-за разбиения."
    ),
    "other seeds": "другие seed",
    "other seeds and splits": "другие seed и разбиения",
    "folds": "фолды",
    "Would more data help?": "Помогло бы больше данных?",
    "share": "доля",
    "training images": "обучающие изображения",
    "minus the whole": "минус все данные",
    "about {count}": "около {count}",
    " {trial} was chosen for its value, which flatters the last step.": (
        " {trial} было выбрано по этому значению, что завышает последний шаг."
    ),
    "Whether the step from {share:g} % to all images is more than chance is not known.": (
        "Неизвестно, больше ли случайного шаг от {share:g} % ко всем изображениям."
    ),
    "still gains: more images would probably help": "всё ещё даёт прирост: больше изображений, вероятно, помогло бы",
    "is not shown to gain anything": "не даёт подтверждённого прироста",
    "The step from {share:g} % to all images, {step}, {said}.": (
        "Шаг от {share:g} % ко всем изображениям, {step}, {said}."
    ),
    # the audit
    "Was halving safe?": "Не навредил ли отсев?",
    "{audited} of {halted} halted trials, drawn at random, were trained on, {finished} of them to the end{failed}. "
    "Spearman's rank correlation of the best value at a rung with the best value in the end, over all trials that "
    "ran to the end: those that the rungs let pass and the audited ones.": (
        "Случайно выбраны и дообучены {audited} из {halted} {halted:остановленного испытания|остановленных "
        "испытаний|остановленных испытаний}, из них до конца — {finished}{failed}. Ранговая корреляция Спирмена "
        "лучшего значения на ступени с лучшим значением в конце — по всем испытаниям, дошедшим до конца: и пропущенным "
        "ступенями, и проверочным."
    ),
    "; {count} did not come so far": "; {count} до конца не {count:дошло|дошли|дошли}",
    "rung": "ступень",
    "epochs": "эпохи",
    "trials": "испытания",
    "correlation": "корреляция",
    "rung {rung}": "ступень {rung}",
    "rung {rung} ({epochs:g} {epochs:epoch|epochs})": "ступень {rung} ({epochs:g} {epochs:эпоха|эпохи|эпох})",
    "fewer than {count} trials": "меньше {count} {count:испытания|испытаний|испытаний}",
    "{trial}, halted at {rung}, came to {value}: rank {rank} of {among} by value, among those that halving let "
    "finish and itself": (
        "{trial} (остановлено: {rung}) дошло до {value}: по значению место {rank} из {among} среди тех, кого отсев "
        "пропустил до конца, и его самого"
    ),
    "Halving lost something here: {trials} would have been first.": (
        "Здесь отсев потерял лучшее: первое место было бы у {trials}."
    ),
    "Of the audited trials none would have been first. So few do not show that no halted one would: up to "
    "{missed:.0%} of such trials may be better than the best (95 % confidence).": (
        "Ни одно из проверочных испытаний не стало бы первым. Но их слишком мало, чтобы утверждать это обо всех "
        "остановленных: до {missed:.0%} таких испытаний могут быть лучше лучшего (с доверием 95 %)."
    ),
    # how it was made
    "How it was made": "Как это получено",
    "Plots": "Графики",
    "{count} of {asked}": "{count} из {asked}",
    "{done} of {begun} begun": "{done} из {begun} {begun:начатого|начатых|начатых}",
    "{percent} % shared, {size}": "{percent} % общих, {size}",
    "{count} sampled configs broke them and were left out": (
        "{count} {count:предложенная конфигурация нарушила их и отброшена|предложенные конфигурации нарушили их и "
        "отброшены|предложенных конфигураций нарушили их и отброшены}"
    ),
}
